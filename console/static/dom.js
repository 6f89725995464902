// Small helpers: elements from text (never from markup), words for times, and calls to the API.

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function spanWords(milliseconds) {
  const left = Math.floor(Math.abs(milliseconds) / 1000);
  if (left < 60) return `${left} s`;
  if (left < 3600) return `${Math.floor(left / 60)} min`;
  if (left < 86400) return `${Math.floor(left / 3600)} h ${String(Math.floor((left % 3600) / 60)).padStart(2, "0")}`;
  return `${Math.floor(left / 86400)} d ${Math.floor((left % 86400) / 3600)} h`;
}

export const count = (n) => n.toLocaleString("en-US");
export const shortCount = (n) => (n < 1000 ? `${n}` : n < 10000 ? `${(n / 1000).toFixed(1)}k` : `${Math.floor(n / 1000)}k`);

export function typing(event) {
  const target = event.target;
  return target instanceof HTMLElement && (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName))
    && target.type !== "checkbox";
}

let toastTimer = 0;
export function toast(text) {
  const box = $("#toast");
  box.textContent = text;
  box.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => box.classList.remove("shown"), 4500);
}

async function problem(response) {
  try {
    const { detail } = await response.json();
    if (Array.isArray(detail)) return detail.map((item) => item.msg.replace(/^Value error, /, "")).join("; ");
    return detail || response.statusText;
  } catch {
    return response.statusText || `HTTP ${response.status}`;
  }
}

export async function getJson(address, signal) {
  const response = await fetch(address, { signal, headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(await problem(response));
  return response.json();
}

const post = (address, body) => fetch(address, {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
});

let session = document.body.dataset.openReads !== "yes";

export async function send(address, body = {}) {
  // In the open demo mode pages are readable without the cookie; it is asked for once, before the first write.
  if (!session) session = (await post("/api/session", {})).ok;
  const response = await post(address, body);
  if (!response.ok) throw new Error(await problem(response));
  return response.json();
}
