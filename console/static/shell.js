// What every page has: the theme switch and the list of shortcuts.
import { $, typing } from "./dom.js";

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

$("#theme")?.addEventListener("click", () => {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try { localStorage.setItem("tieout-theme", next); } catch { /* only this page remembers */ }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "?" || typing(event) || event.ctrlKey || event.metaKey || $("dialog[open]")) return;
  event.preventDefault();
  $("#keys").showModal();
});
