// Ids of what is sent.

/** An id that no other client makes. It is no secret: where there is no better chance, any will do. */
export function newId(): string {
  const bytes = new Uint8Array(16);
  if (typeof crypto === "object") crypto.getRandomValues(bytes);
  else
    bytes.forEach((_, index) => {
      bytes[index] = Math.random() * 256;
    });
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
