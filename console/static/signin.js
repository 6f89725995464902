// Swaps the typed token for the cookie. The token travels in a header only and is kept nowhere.
const form = document.querySelector("#signin");
const field = document.querySelector("#token");
const problem = document.querySelector("#problem");
const go = document.querySelector("#go");

// A header holds visible ASCII only; fetch would throw on anything else.
const sendable = (token) => /^[\x21-\x7e]+$/.test(token);

async function refusal(token) {
  if (!token) return "Enter the token.";
  if (!sendable(token)) return "This is not the token: it has letters, digits, - and _ only.";
  try {
    const answer = await fetch("/api/session", {
      method: "POST",
      credentials: "same-origin",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: "{}",
    });
    if (answer.ok) return "";
    if (answer.status === 401) return "This is not the token of the running service. It changes at every start.";
    return `The service refused (${answer.status}). Try again.`;
  } catch {
    return "The service does not answer. Is it still running?";
  }
}

form.noValidate = true;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (go.disabled) return;
  go.disabled = true;
  problem.textContent = "";
  const text = await refusal(field.value.trim());
  field.value = "";
  if (!text) {
    if (location.pathname === "/signin") location.replace("/breaks");
    else location.reload();
    return;
  }
  problem.textContent = text;
  field.setAttribute("aria-invalid", "true");
  go.disabled = false;
  field.focus();
});
