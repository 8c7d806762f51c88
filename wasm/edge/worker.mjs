// What Cloudflare runs: the page's files are the platform's to serve, and each tunnel gets a Durable Object, in which one
// instance of the Go program (main.go) serves it. Go starts for a tunnel alone.
import "./wasm_exec.js";
import { connect } from "cloudflare:sockets";
import { DurableObject } from "cloudflare:workers";
import program from "./edge.wasm";

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
    const binding = await start(this.env, (why) => {
      // A program that broke would leave its WebSocket open, and the client waiting.
      if (why !== 0) this.ctx.abort("the program broke");
      // An object that is done would keep its memory for a while, and for as long its connections to those that take nothing.
      if (binding?.socket) setTimeout(() => this.ctx.abort("the session is over"), farewell);
    });
    const answer = await binding.handleRequest(request);
    return binding.socket ? new Response(null, { status: 101, webSocket: binding.socket, headers: answer.headers }) : answer;
  }
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/tunnel") return tunnel(request, env);
    if (pathname === "/healthz") return new Response("ok\n", { headers: { "Cache-Control": "no-store" } });
    return page(request, env, pathname);
  },
};

async function tunnel(request, env) {
  if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket") {
    return new Response("this is the tunnel: a WebSocket\n", { status: 400 });
  }
  if (env.LIMITER && !(await env.LIMITER.limit({ key: request.headers.get("CF-Connecting-IP") ?? "" })).success) {
    return new Response("too many sessions from your address within a minute\n", { status: 429, headers: { "Retry-After": "60" } });
  }
  return env.SESSION.get(env.SESSION.newUniqueId()).fetch(request);
}

// page is asked for what is no file: a place in the page, such as /inbox/42, which the page itself finds its way to. A
// missing file stays missing: index.html in place of a script is a riddle.
async function page(request, env, pathname) {
  const place = !/\.[^/]*$|^\/(assets|icons)\//.test(pathname) && /text\/html|\*\/\*/.test(request.headers.get("Accept") ?? "*/*");
  return env.ASSETS.fetch(place ? new Request(new URL("/index.html", request.url), request) : request);
}
