// The Web Worker that holds the mail engine: `new Worker(url + "?wasm=" + engine)`. It loads Go's support code, runs the
// engine, and tells the page in words if it cannot. Everything else the engine says for itself.

importScripts('../{{asset "wasm_exec.js"}}', '../{{asset "farsocket.js"}}'); // from assets, wherever that is

const wasm = new URL(new URL(location.href).searchParams.get("wasm"), location.origin);

async function start() {
  if (wasm.origin !== location.origin) throw new Error(`the engine is of another origin: ${wasm}`);
  const response = await fetch(wasm, { credentials: "same-origin" });
  if (!response.ok) throw new Error(`${wasm.pathname}: ${response.status} ${response.statusText}`);
  const go = new Go();
  const streams = WebAssembly.instantiateStreaming && response.headers.get("Content-Type") === "application/wasm";
  const { instance } = streams
    ? await WebAssembly.instantiateStreaming(response, go.importObject)
    : await WebAssembly.instantiate(await response.arrayBuffer(), go.importObject);
  await go.run(instance);
  throw new Error("the engine's program ended");
}

start().catch((error) => setTimeout(() => { throw error; })); // as an error event of the Worker, which the page hears
