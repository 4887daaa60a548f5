// Classes that behave as those of React Native's JavaScript do where they differ from a browser's.
import { WebSocket } from "ws";

/** It opens on the native side; data crosses over as text or base64, and only what is text or bytes. */
export class NativeWebSocket {
  readyState = 0;
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose = null;
  #native;
  #binaryType;

  constructor(url, protocols) {
    this.url = url;
    this.#native = new WebSocket(url, protocols);
    this.#native.on("open", () => this.#opened());
    this.#native.on("message", (bytes, isBinary) => this.#came(bytes, isBinary));
    this.#native.on("error", ({ message }) => this.#failed(message));
    this.#native.on("close", (code, reason) => this.#closed(code, String(reason)));
  }

  /** Unknown until somebody says it. */
  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(type) {
    if (type !== "blob" && type !== "arraybuffer") throw new Error(`no binaryType: ${type}`);
    this.#binaryType = type;
  }

  send(data) {
    if (this.readyState === 0) throw new Error("INVALID_STATE_ERR");
    if (typeof data !== "string" && !isBytes(data)) throw new Error("Unsupported data type");
    this.#native.send(typeof data === "string" ? data : Buffer.from(bytesOf(data).toString("base64"), "base64"));
  }

  close(code = 1000, reason = "") {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    this.#native.close(code, reason);
  }

  #opened() {
    this.readyState = 1;
    this.onopen?.({ type: "open" });
  }

  #came(bytes, isBinary) {
    this.onmessage?.({ type: "message", data: isBinary ? Uint8Array.from(bytes).buffer : String(bytes) });
  }

  /** The reason of its close is the sentence of the native error. */
  #failed(message) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onerror?.({ type: "error" });
    this.onclose?.({ type: "close", code: 1006, reason: message });
  }

  #closed(code, reason) {
    if (this.readyState === 3) return;
    // A connection that breaks is a failure there, and not a close.
    if (code === 1006) return this.#failed("Software caused connection abort");
    this.readyState = 3;
    this.onclose?.({ type: "close", code, reason });
  }
}

/** It can be made of text and of its like, and cannot be read. */
export class NativeBlob {
  constructor(parts = []) {
    if (parts.some(isBytes)) throw new Error("Creating blobs from bytes is not supported");
    this.size = parts.reduce((sum, part) => sum + (part.size ?? Buffer.byteLength(String(part))), 0);
    this.type = "";
  }
}

/** Of this realm or the app's. */
const isBytes = (data) => ArrayBuffer.isView(data) || Object.prototype.toString.call(data) === "[object ArrayBuffer]";

const bytesOf = (data) =>
  ArrayBuffer.isView(data) ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : Buffer.from(data);
