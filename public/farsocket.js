// FarSocket is as much of a WebSocket as the engine uses, with the WebSocket itself in a thread of its own: socket.js.
globalThis.FarSocket = class extends EventTarget {
  #thread = new Worker('../{{asset "socket.js"}}');

  constructor(url, subprotocol) {
    super();
    this.#thread.onmessage = ({ data: [event, properties] }) => this.#happens(event, properties);
    this.#thread.onerror = ({ message }) => this.#happens("close", { code: 1006, reason: message ?? "" });
    this.#thread.postMessage(["open", url, subprotocol]);
  }

  send(octets) { this.#thread.postMessage(["send", octets], [octets.buffer]); }
  close(code, reason) { this.#thread.postMessage(["close", code, reason]); }

  #happens(event, properties) { this.dispatchEvent(Object.assign(new Event(event), properties)); }
};
