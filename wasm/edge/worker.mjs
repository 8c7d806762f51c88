// What Cloudflare runs: the page's files are the platform's to serve, and each tunnel gets a Durable Object, in which one
// instance of the Go program (main.go) serves it. Go starts for a tunnel alone.
import "./wasm_exec.js";
import { connect } from "cloudflare:sockets";
import { DurableObject } from "cloudflare:workers";
import program from "./edge.wasm";
import headers from "./headers.mjs"; // those of every answer, made from the native gateway's

// start runs the program until it listens, and answers its binding. ended is told of its end, once: 0, or what went wrong.
// github.com/syumai/workers and package edge take the context there and then, before another object of this isolate sets its own.
async function start(env, ended) {
  const binding = {};
  await new Promise((ready, failed) => {
    const go = new Go();
    let over = false;
    const end = (why) => {
      if (over) return; // a call that it has ended in the middle of breaks, too
      over = true;
      go._resume = () => {}; // what has been asked of the platform may still be answered: to nobody
      failed(new Error("the program ended before it listened"));
      ended(why);
    };
    go.exit = end;
    // What breaks in WebAssembly itself, as a stack that is full, is thrown at whatever has called it: a timer, a message.
    const resume = go._resume;
    go._resume = () => {
      try {
        resume.call(go);
      } catch (broken) {
        end(broken);
      }
    };
    globalThis.context = { env, connect, binding };
    try {
      go.run(new WebAssembly.Instance(program, { ...go.importObject, workers: { ready } })).catch(end);
    } finally {
      delete globalThis.context;
    }
  });
  return binding;
}

// farewell is how long, in milliseconds, what a session has said last may take to get out.
const farewell = 1000;

export class Session extends DurableObject {
  async fetch(request) {
    let binding;
    const ended = (why) => {
      // A program that broke would leave its WebSocket open, and the client waiting.
      if (why !== 0) return this.ctx.abort("the program broke");
      // An object that is done would keep its memory for a while, and for as long its connections to those that take nothing.
      if (!binding?.socket) return;
      binding.near.addEventListener("message", ({ data }) => data.transfer?.(0)); // from a client that goes on, or it would be kept
      setTimeout(() => this.ctx.abort("the session is over"), farewell);
    };
    binding = await start(this.env, ended);
    const answer = await binding.handleRequest(request);
    return binding.socket ? new Response(null, { status: 101, webSocket: binding.socket, headers: answer.headers }) : answer;
  }
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (url.protocol === "http:" && !here.test(url.hostname)) {
      url.protocol = "https:";
      return answer("by https alone", 308, { Location: url.href });
    }
    if (url.pathname === "/tunnel") return tunnel(request, env);
    if (request.method !== "GET" && request.method !== "HEAD") return answer("only GET and HEAD are answered here", 405, { Allow: "GET, HEAD" });
    if (url.pathname === "/healthz") return answer("ok", 200);
    return page(request, env, url);
  },
};

// here is this machine, as when the Worker is tried on one's own.
const here = /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function answer(text, status, more) {
  return new Response(text + "\n", { status, headers: { ...headers, "Cache-Control": "no-store", ...more } });
}

async function tunnel(request, env) {
  if (request.method !== "GET" || request.headers.get("Upgrade")?.toLowerCase() !== "websocket") {
    return answer("this is the tunnel: a WebSocket", 400);
  }
  // Both are asked, so that both count.
  const [net, site] = networks(request.headers.get("CF-Connecting-IP") ?? "");
  const within = await Promise.all([env.CLIENTS?.limit({ key: net }), env.SITES?.limit({ key: site })]);
  if (within.some((limit) => limit?.success === false)) {
    return answer("too many sessions from your address within a minute", 429, { "Retry-After": "60" });
  }
  // A new object, whose name nobody chooses, and so nobody finds another's.
  return env.SESSION.get(env.SESSION.newUniqueId()).fetch(request);
}

// networks are those by which a client is counted, as the bridge does it: its IPv4 address, or of IPv6 the /64 that it has to itself,
// and the /48 of its site.
function networks(address) {
  if (!address.includes(":")) return [address, address];
  const [head, tail = []] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::").map((half) => half.split(":").filter(Boolean));
  const groups = [...head, ...Array(8 - head.length - tail.length).fill("0"), ...tail];
  return [groups.slice(0, 4).join(":"), groups.slice(0, 3).join(":")];
}

// page is asked for what is no file: a place in the page, such as /inbox/42, which the page itself finds its way to. A
// missing file stays missing: index.html in place of a script is a riddle.
async function page(request, env, url) {
  const place = !/\.[^/]*$|^\/(assets|icons)\/|\/\//.test(url.pathname) && /text\/html|\*\/\*/.test(request.headers.get("Accept") ?? "*/*");
  const file = await env.ASSETS.fetch(place ? new Request(new URL("/index.html", url), request) : request);
  return file.status === 404 ? answer("there is nothing at this address", 404) : file;
}
