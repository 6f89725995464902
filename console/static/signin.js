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

const enter = () => { if (location.pathname === "/signin") location.replace("/breaks"); else location.reload(); };

// People sign in by name; the password is sent once and kept nowhere.
const person = document.querySelector("#person");
person?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [user, password, button] = ["#user", "#password", "#person-go"].map((name) => document.querySelector(name));
  button.disabled = true;
  try {
    const answer = await fetch("/api/session", {
      method: "POST",
      credentials: "same-origin",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user: user.value.trim(), password: password.value }),
    });
    if (answer.ok) { enter(); return; }
    document.querySelector("#person-problem").textContent = answer.status === 401
      ? "Wrong name or password." : `The service refused (${answer.status}). Try again.`;
  } catch {
    document.querySelector("#person-problem").textContent = "The service does not answer. Is it still running?";
  }
  password.value = "";
  button.disabled = false;
  password.focus();
});
if (person) person.noValidate = true;

form.noValidate = true;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (go.disabled) return;
  go.disabled = true;
  problem.textContent = "";
  const text = await refusal(field.value.trim());
  field.value = "";
  if (!text) {
    enter();
    return;
  }
  problem.textContent = text;
  field.setAttribute("aria-invalid", "true");
  go.disabled = false;
  field.focus();
});
