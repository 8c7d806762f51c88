// The service worker: it keeps one whole version of the page, so that Postern opens without a network.
//
// A version is a list of files with their hashes. Installing fetches what is new of it into a cache of its own, checks
// every hash, and fails as a whole if one file is missing or wrong: then the version before goes on. A version that is
// installed waits until the user, asked by boot.js, lets it in. The tunnel and the health check never pass through here.

const VERSION = "{{version}}";
const FILES = JSON.parse('{{files}}'); // path → integrity
const HERE = new URL("./", location).pathname; // where the page begins: paths below are as if it were the root
const PREFIX = HERE === "/" ? "postern-" : "postern" + HERE; // another page of this host has caches of its own
const CACHE = PREFIX + VERSION;
const INDEX = "/";

const rooted = (path) => HERE + path.slice(1);

self.addEventListener("install", (event) => event.waitUntil(install()));

async function install() {
  const cache = await caches.open(CACHE);
  try {
    await Promise.all(Object.entries(FILES).map(async ([path, integrity]) => {
      const unchanging = path.startsWith("/assets/"); // its name holds its hash: an older version's copy is as good
      const kept = unchanging && await caches.match(rooted(path));
      await cache.put(rooted(path), kept || await retrieve(rooted(path), integrity, unchanging ? "default" : "no-cache"));
    }));
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

async function retrieve(path, integrity, cache) {
  const response = await fetch(path, { integrity, cache, credentials: "same-origin", redirect: "error" });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response;
}

self.addEventListener("activate", (event) => event.waitUntil(activate()));

async function activate() {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
  await self.clients.claim();
}

self.addEventListener("message", (event) => {
  if (event.data === "SKIP_WAITING") self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const { request } = event, url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (!url.pathname.startsWith(HERE)) return;
  const path = "/" + url.pathname.slice(HERE.length);
  if (path in FILES) event.respondWith(kept(path, request));
  else if (request.mode === "navigate" && place(path)) event.respondWith(kept(INDEX, request));
});

// place says whether a path is a place in the page, such as /inbox/42, and not a file or a service of the gateway.
function place(path) {
  return !/^\/(tunnel|healthz|readyz|assets|icons|dev)(\/|$)/.test(path) && !path.split("/").pop().includes(".");
}

// kept answers from this version's cache. The network is for a file that the browser has thrown out.
async function kept(path, request) {
  const cache = await caches.open(CACHE);
  const response = await cache.match(rooted(path));
  if (!response) return fetch(request);
  // A response brings its address along, and a Worker takes that for its own: without this, its query would be lost.
  return new URL(request.url).search ? new Response(response.body, response) : response;
}
