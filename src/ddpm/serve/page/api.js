// Requests to the server, whose refusals become errors with its message.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function call(method, path, body, signal) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      signal,
      headers: body === undefined ? {} : {"content-type": "application/json"},
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not answer.");
  }
  const found = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, found?.error?.message ?? `The server answered ${answer.status}.`);
  return found;
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);
export const segment = encodeURIComponent;
export const pictureURL = (name) => `api/pictures/${segment(name)}`;

// Upload a file as the body; progress is told the share that was sent.
export function upload(path, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", path);
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onerror = () => reject(new Refused(0, "The upload was interrupted."));
    request.onload = () => {
      let answer = null;
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        // the status says it
      }
      if (request.status < 300) resolve(answer);
      else reject(new Refused(request.status, answer?.error?.message ?? `The server answered ${request.status}.`));
    };
    request.send(file);
  });
}

export function dataURL(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("The file cannot be read."));
    reader.readAsDataURL(blob);
  });
}

export async function fetched(name) {
  const answer = await fetch(pictureURL(name));
  if (!answer.ok) throw new Refused(answer.status, "The picture is no longer there.");
  return dataURL(await answer.blob());
}
