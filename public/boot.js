// Starts Postern: fetches the page's WebAssembly while showing how far it is, runs it, then keeps an eye on newer
// versions. A module, so that nothing of it lands on window; `Go` comes from Go's own wasm_exec.js.

const $ = (id) => document.getElementById(id);
const meta = (name) => document.querySelector(`meta[name="${name}"]`);

const wasm = meta("postern-app").content;
const size = Number(meta("postern-app").dataset.size); // unpacked: what arrives here is unpacked, Content-Length is not
const slow = 15_000; // ms without a byte before we say that the line is slow

// unfit says why this browser cannot run Postern, or nothing.
function unfit() {
  if (!isSecureContext) {
    return ["This address is not secure", "Browsers allow what Postern needs (mail kept on your device, encryption, work offline) only over https, or on localhost. Open Postern by such an address."];
  }
  if (typeof WebAssembly !== "object" || !navigator.locks || !navigator.storage?.getDirectory || typeof BroadcastChannel !== "function") {
    return ["This browser cannot run Postern", "It lacks WebAssembly or private file storage. Current versions of Firefox, Chrome, Edge and Safari have them; a private window may lack them."];
  }
}

function fail(title, text, error) {
  $("failure-title").textContent = title;
  $("failure-text").textContent = text;
  $("failure-technical").textContent = error ? String(error.stack || error) : navigator.userAgent;
  $("failure").hidden = false;
  $("failure-retry").focus();
}

// follow counts the bytes of a copy of the response and shows them, so that the response itself goes to the compiler
// untouched (and to the browser's cache of compiled code).
async function follow(response) {
  const bar = $("load-bar"), bytes = $("load-bytes"), text = $("load-text");
  const mb = (n) => (n / 1e6).toFixed(1);
  let seen = 0, timer;
  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(() => { if (text) text.textContent = "Still loading; the connection is slow"; }, slow);
  };
  try {
    watch();
    const reader = response.body.getReader();
    for (let part; !(part = await reader.read()).done;) {
      seen += part.value.length;
      watch();
      if (!bar) continue;
      bar.value = Math.min(1, seen / size);
      bytes.textContent = `${mb(seen)} of ${mb(size)} MB`;
    }
    if (text) text.textContent = "Starting";
    if (bytes) bytes.textContent = "";
  } catch {
    // The response itself fails too, and is reported.
  } finally {
    clearTimeout(timer);
  }
}

async function download() {
  const response = await fetch(wasm, { credentials: "same-origin" });
  if (!response.ok) throw new Error(`${wasm}: ${response.status} ${response.statusText}`);
  return response;
}

// instantiate compiles while it loads where it can, and after it where a proxy on the way has spoilt the media type.
async function instantiate(imports) {
  const response = await download();
  if (WebAssembly.instantiateStreaming && response.headers.get("Content-Type") === "application/wasm") {
    follow(response.clone());
    return (await WebAssembly.instantiateStreaming(response, imports)).instance;
  }
  follow(response.clone());
  return (await WebAssembly.instantiate(await response.arrayBuffer(), imports)).instance;
}

// warm fetches the engine into the browser's cache while the page loads: its Worker, which the page starts, finds it there.
function warm() {
  if (navigator.serviceWorker?.controller) return; // it is on the device already
  fetch(meta("postern-engine").content, { credentials: "same-origin", priority: "low" })
    .then((response) => response.body.pipeTo(new WritableStream()))
    .catch(() => {}); // the Worker will say so
}

async function start() {
  $("failure").hidden = true;
  const reason = unfit();
  if (reason) return fail(...reason);
  warm();
  const go = new Go();
  let instance;
  try {
    instance = await instantiate(go.importObject);
  } catch (error) {
    if (error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError) {
      return fail("This browser cannot run Postern", "It does not understand the page's WebAssembly, or the file was damaged on its way. A current version of Firefox, Chrome, Edge or Safari does.", error);
    }
    return fail("Postern could not be loaded", navigator.onLine ? "The gateway does not answer, or the connection broke. Your mail on this device is safe." : "You are offline, and this browser has no copy of Postern yet. Connect, then try again.", error);
  }
  (globalThis.requestIdleCallback ?? setTimeout)(keep); // the page comes first, the copy for later after it
  await go.run(instance); // returns only if the page's program ends, which it never means to
  fail("Postern has stopped", "Something went wrong in the page. Your mail on this device is safe. Load the page again to go on.", new Error("the page's program ended"));
  $("failure-retry").onclick = () => location.reload();
}

// keep lets the service worker store this version for use offline, and offers newer ones.
async function keep() {
  const dev = meta("postern-dev");
  if (dev) {
    new EventSource(dev.content).onmessage = () => location.reload();
    for (const r of await navigator.serviceWorker.getRegistrations()) r.unregister();
    return;
  }
  const container = navigator.serviceWorker;
  if (!container) return;
  let controlled = !!container.controller, accepted = false;
  container.addEventListener("controllerchange", () => {
    // The first worker takes charge of this page, which is its own version: nothing to do. A later one was let in from
    // here or from another tab; files of this page's version are gone then, so it must load anew.
    if (!controlled) controlled = true;
    else if (accepted || document.hidden) location.reload();
    else offer(() => location.reload());
  });

  let registration;
  try {
    registration = await container.register(new URL("../sw.js", import.meta.url), { updateViaCache: "none" });
  } catch {
    return; // no storage, or forbidden by the user: Postern works, but not offline
  }
  const waiting = () => {
    if (!registration.waiting || !controlled) return;
    offer(() => {
      accepted = true;
      registration.waiting ? registration.waiting.postMessage("SKIP_WAITING") : location.reload();
    });
  };
  const arriving = () => registration.installing?.addEventListener("statechange", waiting);
  registration.addEventListener("updatefound", arriving);
  arriving();
  waiting();
  let asked = Date.now();
  document.addEventListener("visibilitychange", () => { // a page that stays open for weeks hears of new versions too
    if (document.hidden || Date.now() - asked < 3_600_000) return;
    asked = Date.now();
    registration.update().catch(() => {}); // offline: another time
  });
}

function offer(accept) {
  $("update-reload").onclick = accept;
  $("update-later").onclick = () => { $("update").hidden = true; };
  $("update").hidden = false;
}

$("failure-retry").onclick = start;
start();
