// Pictures that are dropped on the page, pasted, or opened: their settings go to the form, they to the tools.
import {dataURL, post} from "./api.js";
import {$} from "./dom.js";
import {reporting, say} from "./notice.js";

export function takePictures({fill, take, editing}) {
  const veil = $("#drop");
  let deep = 0;
  const files = (event) => event.dataTransfer?.types.includes("Files");
  const show = (change) => {
    deep = Math.max(0, deep + change);
    veil.hidden = deep === 0;
  };
  addEventListener("dragenter", (event) => files(event) && show(1));
  addEventListener("dragleave", (event) => files(event) && show(-1));
  addEventListener("dragover", (event) => files(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    show(-deep);
    open([...event.dataTransfer.files]);
  });
  addEventListener("paste", (event) => {
    const found = [...(event.clipboardData?.files ?? [])];
    if (found.length) open(found);
  });
  $("#open").addEventListener("change", (event) => {
    open([...event.target.files]);
    event.target.value = "";
  });

  function open(given) {
    reporting(async () => {
      const file = given.find((one) => one.type.startsWith("image/"));
      if (!file) throw new Error("This is not a picture.");
      const url = await dataURL(file);
      await take(url);
      const record = await post("api/records", {picture: url}).catch((error) => {
        if (!editing()) throw error;
        say(`${file.name} is taken; it has no settings of its own.`); // a tool takes any picture
      });
      if (record) await fill(record);
    });
  }
}
