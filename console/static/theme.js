// Sets the chosen theme before the first paint; without a choice the system's preference rules.
try {
  const chosen = localStorage.getItem("tieout-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* storage may be blocked; the system's preference still works */ }
