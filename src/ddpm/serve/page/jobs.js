// Jobs on the server: submitting them, and following them until they end.
import {Refused, call, get, remove} from "./api.js";

const STREAMS = 3; // browsers keep six connections to a host, of which others need some
const PAUSE = 1500; // milliseconds
let open = 0;

const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));

// Queue a job; while the server takes no more, try again.
export async function submit(ask, signal, full = () => {}) {
  for (;;) {
    try {
      return await call("POST", "api/jobs", ask, signal);
    } catch (error) {
      if (error.status !== 429) throw error;
      full();
      await wait(PAUSE);
      if (signal?.aborted) throw new DOMException("cancelled", "AbortError");
    }
  }
}

export const cancel = (id) => remove(`api/jobs/${id}`);

let latest = null; // the server's list of jobs, shared by all that wait

async function listed(id) {
  latest ??= get("api/jobs").finally(() => setTimeout(() => {
    latest = null;
  }, PAUSE));
  return (await latest).find((job) => job.id === id) ?? get(`api/jobs/${id}`);
}

// Follow a job. `told` has functions by kind of event: queued, progress, preview, picture.
// Resolves with {state, pictures, error} when it ends.
export async function follow(id, told) {
  while (open >= STREAMS) {
    const job = await listed(id);
    if (["done", "failed", "cancelled"].includes(job.state)) return job;
    told.queued?.({position: job.position, seconds: job.seconds});
    await wait(PAUSE);
  }
  open += 1;
  try {
    return await streamed(id, told);
  } finally {
    open -= 1;
  }
}

// After a lost connection the browser connects again, and the server tells the present state.
function streamed(id, told) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(`api/jobs/${id}/events`);
    const on = (kind, act) => source.addEventListener(kind, (event) => act(JSON.parse(event.data)));
    for (const kind of ["queued", "progress", "preview", "picture"]) on(kind, (data) => told[kind]?.(data));
    for (const kind of ["done", "failed", "cancelled"]) {
      on(kind, (data) => {
        source.close();
        resolve({state: kind, ...data});
      });
    }
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return;
      reject(new Refused(0, "The server no longer knows this job."));
    };
  });
}
