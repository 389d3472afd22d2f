function picture(model, name, which) {
  const image = document.createElement("img");
  image.style.cssText = "width: 100%; cursor: crosshair; display: block";
  const load = () => { image.src = "data:image/png;base64," + model.get(name); };
  load();
  model.on("change:" + name, load);
  image.onclick = (event) => {
    const box = image.getBoundingClientRect(), grid = model.get("grid");
    const at = (place, start, length) =>
      Math.min(Math.max(Math.floor(((place - start) / length) * grid), 0), grid - 1);
    const row = at(event.clientY, box.top, box.height);
    const column = at(event.clientX, box.left, box.width);
    model.set("clicked", [which, row * grid + column]);
    model.save_changes();
  };
  return image;
}

function text(model, name) {
  const part = document.createElement("div");
  part.style.cssText = "font: 13px/1.45 system-ui, sans-serif; padding: 4px 0; min-height: 2.9em";
  const load = () => { part.innerHTML = model.get(name); };
  load();
  model.on("change:" + name, load);
  return part;
}

function render({ model, el }) {
  const style = document.createElement("style");
  style.textContent = model.get("look");
  const columns = document.createElement("div");
  columns.style.cssText = "display: grid; grid-template-columns: 1fr 1fr; gap: 12px; max-width: 760px";
  for (const name of ["attention", "kept"]) {
    const column = document.createElement("div");
    column.append(picture(model, name, name), text(model, "of_" + name));
    columns.append(column);
  }
  const label = document.createElement("label");
  label.style.cssText = "font: 13px system-ui, sans-serif; display: flex; gap: 10px; max-width: 760px";
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 1, max: model.get("most"), value: model.get("retain") });
  slider.style.flex = "1";
  const number = document.createElement("b");
  number.textContent = slider.value;
  slider.oninput = () => { number.textContent = slider.value; };
  slider.onchange = () => { model.set("retain", Number(slider.value)); model.save_changes(); };
  label.append("Visual tokens", slider, number);
  const answers = text(model, "answers");
  answers.style.maxWidth = "760px";
  el.append(style, columns, label, answers);
}

export default { render };
