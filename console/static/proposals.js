// The page of proposals: an answer, then the list as it now is.
import { answer, install } from "./actions.js";

document.addEventListener("click", (event) => { answer(event, () => location.reload()); });

install();
