// The page for logging in: says why the last attempt was refused, and takes a token from
// a link that ends in #token=..., which no server writes into a log.
import { theme } from "./format.js";

theme();
const wait = Number(new URLSearchParams(location.search).get("wait") ?? -1);
const refusal = document.getElementById("refusal");
if (wait >= 0) {
  refusal.textContent = wait
    ? `Too many wrong tokens. Try again in ${wait} s.`
    : "This is not the token.";
  refusal.hidden = false;
}
function takeGiven() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  history.replaceState(null, "", location.pathname);
  document.getElementById("token").value = given;
  document.querySelector("form").requestSubmit();
}
addEventListener("hashchange", takeGiven);
takeGiven();
