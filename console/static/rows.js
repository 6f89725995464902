// One queue row as grid cells.
import { el, spanWords } from "./dom.js";

const DONE = ["RESOLVED", "CLOSED"];

const SVG = "http://www.w3.org/2000/svg";

function glyph(level) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "glyph");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#sev-${level}`);
  svg.append(use);
  return svg;
}

const marked = (parts) => parts.map(([text, changed]) => (changed ? el("mark", {}, text) : text));
// "MERID-EQ-08 → MERID-EQ-09" reads "→ …-09" where the column is narrow: the style sheet chooses.
function shortened(left, right) {
  const [head, changed] = right[0] ?? ["", true];
  if (changed || right.length < 2 || head.length < 6 || left[0]?.[0] !== head) return marked(right);
  return [el("span", { class: "long" }, head.slice(0, -2)), el("span", { class: "short", "aria-hidden": "true" }, "…"), head.slice(-2), ...marked(right.slice(1))];
}

const cell = (css, column, ...children) => el("div", { class: css, role: "gridcell", "aria-colindex": column }, ...children);

function deadline(row, now) {
  if (DONE.includes(row.state)) return [row.resolution === "cured" ? "cured" : "met", ""];
  if (row.deadline === null) return ["—", ""];
  const left = row.deadline - now;
  // The largest unit alone: how late it is to the hour says nothing after a day, and both do not fit.
  if (left < 0) return [`${spanWords(left).split(" ").slice(0, 2).join(" ")} late`, " late"];
  return [spanWords(left), left < 3600000 ? " soon" : ""];
}

function ticket(row) {
  if (row.ticket_state === "dead") return el("span", { class: "dead", title: "The ticket system refused it" }, `✕ ${row.ticket || "refused"}`);
  if (row.ticket) return row.ticket;
  return el("span", { class: "none" }, row.ticket_state === "pending" ? "◷ waiting" : "—");
}

export function paintRow(node, row, now, selected) {
  const [left, css] = deadline(row, now);
  const box = el("input", { type: "checkbox", tabindex: -1, "aria-label": `Select ${row.name} ${row.symbol}`, "data-check": true });
  box.checked = selected;
  node.dataset.id = row.id;
  node.classList.toggle("done", DONE.includes(row.state));
  // Rows opened by a sweep up to a later time are young, not old.
  const age = row.opened === null ? "—" : spanWords(Math.max(0, (row.closed ?? now) - row.opened));
  const plain = (parts) => parts.map(([text]) => text).join("");
  node.replaceChildren(
    cell("c-check", 1, box),
    cell(`c-sev sev sev-${row.severity}`, 2, glyph(row.severity), row.severity_word),
    cell("c-ticket", 3, ticket(row)),
    cell("c-code", 4, el("b", { title: `${row.code} ${row.headline}` }, row.name)),
    cell("c-sec", 5, row.symbol || "—", el("span", {}, ` · ${row.account || "—"}`)),
    cell("c-pb", 6, row.pb || "—"),
    cell("c-diff", 7, el("span", { class: "was", title: `${plain(row.left)} → ${plain(row.right)}` }, ...marked(row.left)), el("span", { class: "to", "aria-label": " to " }, "→"), el("span", {}, ...shortened(row.left, row.right))),
    cell("c-money", 8, row.exposure),
    cell("c-score", 9, row.score === null ? "—" : row.score.toFixed(2)),
    cell("c-age", 10, age),
    cell(`c-sla${css}`, 11, left),
    cell("c-state", 12, row.assignee && row.state === "ASSIGNED" ? row.assignee : row.state_word),
  );
}
