// What stands in for the platform's limits on this machine: so many calls of limit for each key within a period, in seconds.
import { WorkerEntrypoint } from "cloudflare:workers";

const counts = new Map();

export class Limiter extends WorkerEntrypoint {
  limit({ key }) {
    const { name, limit, period } = this.ctx.props;
    const id = `${name} ${Math.floor(Date.now() / 1000 / period)} ${key}`;
    const count = (counts.get(id) ?? 0) + 1;
    counts.set(id, count);
    return { success: count <= limit };
  }
}

export default { fetch: () => new Response(null, { status: 404 }) };
