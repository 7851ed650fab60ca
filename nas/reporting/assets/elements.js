// Elements of a page and numbers for people.
// Text always goes in as text nodes: nothing of a study is ever read as HTML.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function drawing(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

function write(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
  const size = Math.abs(value);
  if (size >= 1e12 || size < 1e-4) return value.toExponential(digits - 2);
  const unit = [[1e9, "G"], [1e6, "M"]].find(([least]) => size >= least);
  if (unit) return `${Number((value / unit[0]).toPrecision(digits))} ${unit[1]}`;
  return String(Number(value.toPrecision(digits)));
}
