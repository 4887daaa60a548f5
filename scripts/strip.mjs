// A WASM module without what only tools read: names, versions. wasm-opt would encode the code anew, at other places.

/** The magic number and the version. */
const HEADER_BYTES = 8;

const CUSTOM = 0;

/** The module without its custom sections; all others stay as they are, byte for byte. */
export function withoutCustomSections(module) {
  const kept = [module.subarray(0, HEADER_BYTES)];
  for (let start = HEADER_BYTES; start < module.length; ) {
    const { value, end } = unsigned(module, start + 1);
    if (module[start] !== CUSTOM) kept.push(module.subarray(start, end + value));
    start = end + value;
  }
  return Buffer.concat(kept);
}

/** A number in LEB128: seven bits a byte, the lowest first; the eighth says that there are more. */
function unsigned(bytes, start) {
  let [value, end] = [0, start];
  let byte;
  do {
    byte = bytes[end];
    value += (byte & 0x7f) * 2 ** (7 * (end - start));
    end += 1;
  } while (byte & 0x80);
  return { value, end };
}
