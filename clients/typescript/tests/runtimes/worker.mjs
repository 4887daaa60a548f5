// The scenario in a Worker, which a request starts.
import { play, report } from "./scenario.mjs";

export default {
  async fetch(request) {
    const options = await request.json();
    await report(options.control, await play(options));
    return new Response();
  },
};
