// Elements. Every value becomes text: nothing here, and nothing in the page, makes
// HTML of a string.

const svgSpace = "http://www.w3.org/2000/svg";

// h makes an element. Attributes that begin with "on" are listeners; null, undefined
// and false are left out, of attributes and of children.
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// s makes an element of a drawing.
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(svgSpace, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

const written = new WeakMap();

// write sets an element's text, if it is another one than was written last.
export function write(element, text) {
  text = String(text);
  if (written.get(element) === text) return;
  written.set(element, text);
  element.textContent = text;
}

// mark sets an attribute, if it has another value; null removes it.
export function mark(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  value = value === true ? "" : String(value);
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// show shows an element or hides it.
export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

// arrange makes the children those of the list, in its order, and moves only what is
// not in its place.
export function arrange(parent, children) {
  let at = parent.firstChild;
  for (const child of children) {
    if (child === at) at = at.nextSibling;
    else parent.insertBefore(child, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// replace puts children in the place of those that are there, unless the same was put
// there last: data says what they are made of.
const made = new WeakMap();
export function replace(parent, data, make) {
  const text = JSON.stringify(data);
  if (made.get(parent) === text) return;
  made.set(parent, text);
  parent.replaceChildren(...[make()].flat().filter(Boolean));
}

export const $ = (id) => document.getElementById(id);
