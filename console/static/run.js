// A run's page: tabs, the selected state, the failure filter and redrive.
import { $, $$, send, toast } from "./dom.js";

function showTab(tab, focus = false) {
  for (const other of $$("[role=tab]")) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    $(`#${other.getAttribute("aria-controls")}`).hidden = !chosen;
  }
  if (focus) tab.focus();
}

const tabs = $$("[role=tab]");
tabs.forEach((tab, index) => {
  tab.addEventListener("click", () => showTab(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) showTab(tabs[(index + step + tabs.length) % tabs.length], true);
  });
});

function select(name) {
  const panel = $$("[data-state-panel]").find((node) => node.dataset.statePanel === name);
  if (!panel) return;
  for (const node of $$("[data-state-panel]")) node.hidden = node !== panel;
  for (const node of $$(".graph [data-state]")) {
    node.classList.toggle("sg-selected", node.dataset.state === name);
    if (node.dataset.state === name) node.setAttribute("aria-current", "true");
    else node.removeAttribute("aria-current");
  }
  history.replaceState(null, "", `?state=${encodeURIComponent(name)}`);
}

document.addEventListener("click", (event) => {
  const node = event.target.closest(".graph [data-state], [data-state-link]");
  if (!node) return;
  event.preventDefault();
  select(node.dataset.state ?? node.dataset.stateLink);
});

$(".graph [aria-current]")?.scrollIntoView({ block: "center" });

$("#only-failed")?.addEventListener("change", (event) => {
  for (const row of $$("#events tbody tr")) row.hidden = event.target.checked && !row.classList.contains("failure");
});

$("#redrive")?.addEventListener("click", async (event) => {
  const button = event.currentTarget;
  button.disabled = true;
  try {
    await send(`/api/runs/${encodeURIComponent(button.dataset.run)}/redrive`);
    toast("Redrive started.");
    setTimeout(() => location.reload(), 700);
  } catch (error) {
    toast(error.message);
    button.disabled = false;
  }
});
