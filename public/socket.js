// A WebSocket in a thread of its own, for worker.js. A browser hands over a WebSocket's messages some 100 KB at a time and
// stops the sender until its thread has taken them: the engine's, busy with the last ones, waited a third of a large fetch
// for more. Here somebody always takes them. How much may be on its way is the tunnel's to say, by its windows.

let socket;

function open(url, subprotocol) {
  socket = new WebSocket(url, subprotocol);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => postMessage(["open", {}]);
  socket.onmessage = ({ data }) => postMessage(["message", { data }], data instanceof ArrayBuffer ? [data] : []);
  socket.onclose = ({ code, reason }) => {
    postMessage(["close", { code, reason }]);
    close();
  };
}

function hangUp(code, reason) {
  try {
    socket.close(code, reason);
  } catch { // a reason of over 123 octets
    socket.close(code);
  }
}

onmessage = ({ data: [what, ...rest] }) => {
  if (what === "open") open(...rest);
  else if (what === "send") socket.send(rest[0]);
  else hangUp(...rest);
};
