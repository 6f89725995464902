// Assign, comment, resolve, reopen: one dialog, one call, for one break or several.
import { $, count, send, toast } from "./dom.js";

const WORDS = {
  assign: { title: "Assign", reason: "Note (optional)", go: "Assign", done: "Assigned" },
  comment: { title: "Comment", reason: "Comment", go: "Add comment", done: "Comment added" },
  resolve: { title: "Resolve", reason: "Reason", go: "Resolve", done: "Resolved" },
  reopen: { title: "Reopen", reason: "Reason", go: "Reopen", done: "Reopened" },
};

let pending = null;

export function ask(kind, ids, what, after) {
  if (!ids.length) { toast("Select a break first."); return; }
  const words = WORDS[kind];
  pending = { kind, ids, after };
  $("#act-title").textContent = words.title;
  $("#act-what").textContent = ids.length > 1 ? `${count(ids.length)} selected breaks` : what;
  $("#act-reason-label").textContent = words.reason;
  $("#act-reason").value = "";
  $("#act-reason").required = kind !== "assign";
  $("#act-assignee-field").hidden = kind !== "assign";
  $("#act-assignee").value = document.body.dataset.actor;
  $("#act-go").textContent = words.go;
  $("#act-go").disabled = false;
  $("#act-problem").textContent = "";
  $("#act").showModal();
  (kind === "assign" ? $("#act-assignee") : $("#act-reason")).focus();
  if (kind === "assign") $("#act-assignee").select();
}

async function perform({ kind, ids }, reason, payload) {
  if (ids.length === 1) {
    await send(`/api/breaks/${encodeURIComponent(ids[0])}/actions`, { kind, reason, payload });
    return { refused: {} };
  }
  const refused = {};
  for (let start = 0; start < ids.length; start += 200) {
    const answer = await send("/api/actions", { kind, reason, payload, break_ids: ids.slice(start, start + 200) });
    Object.assign(refused, answer.refused);
  }
  return { refused };
}

async function submit(event) {
  event.preventDefault();
  const job = pending;
  const reason = $("#act-reason").value.trim();
  const assignee = $("#act-assignee").value.trim();
  if (job.kind !== "assign" && !reason) {
    $("#act-problem").textContent = "Say why, in a few words: it becomes part of the record.";
    $("#act-reason").focus();
    return;
  }
  if (job.kind === "assign" && !assignee) {
    $("#act-problem").textContent = "Say who takes it.";
    return;
  }
  $("#act-go").disabled = true;
  try {
    const { refused } = await perform(job, reason, job.kind === "assign" ? { assignee } : {});
    $("#act").close();
    const not = Object.values(refused);
    toast(not.length ? `${WORDS[job.kind].done}; ${not.length} refused: ${not[0]}` : `${WORDS[job.kind].done}.`);
    job.after?.();
  } catch (error) {
    $("#act-problem").textContent = error.message;
    $("#act-go").disabled = false;
  }
}

export function install() {
  $("#act form").noValidate = true;
  $("#act form").addEventListener("submit", submit);
  $("#act-cancel").addEventListener("click", () => $("#act").close());
  $("#act-reason").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("#act form").requestSubmit();
  });
}
