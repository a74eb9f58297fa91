// @ts-check
/**
 * The page: it asks the server who this visitor is and what is allowed, shows that and nothing else,
 * and joins what is sent, what is there and who is connected.
 *
 * @module
 */

import { find, make, say, setText } from "./dom.js";
import { canPick, fromDrop, fromFiles, fromPaste, pick } from "./gather.js";
import { List } from "./list.js";
import { unfinished } from "./memory.js";
import { Sender } from "./sending.js";
import { Session } from "./session.js";
import { signOut, watchSignIn } from "./sign_in.js";
import { loadTus } from "./upload.js";
import { TransfersView } from "./transfers_view.js";
import { adviceFor, countOf, printable, problemIn, quoted, sizeOf } from "./words.js";

/**
 * What the server tells of this visitor.
 *
 * @typedef {object} About
 * @property {"none" | "needed" | "done"} signIn
 * @property {string | null} user
 * @property {{ list: boolean, get: boolean, put: boolean, talk: boolean }} may
 * @property {number | null} maxFileBytes
 */

const sender = new Sender({
  onChange: (transfer) => uploads.change(transfer),
  onDone: ({ name }) => say(`${printable(name)} is stored.`),
  onNeedsKey: () => show(),
});
const uploads = new TransfersView(sender);
const list = new List({ onSignIn: () => show(), onFolder: () => showCall() });
const session = new Session({
  onStored: (stored) => list.add(stored),
  onMany: () => list.load(),
  onBack: () => {
    sender.wake();
    if (!isListed) beginList();
    else if (may.list) list.load();
    // It may be another visitor by now.
    show(true);
  },
  onRefused: () => show(),
});

/** @type {About["may"]} */
let may = { list: false, get: false, put: false, talk: false };

/** Whether fingers point here: they drop nothing, and hold a camera. */
const isTouched = matchMedia("(pointer: coarse)").matches;

/** What this visitor was when the page was last shown. */
let shown = "";

/** Milliseconds until the server is asked again that did not answer. */
const AGAIN_MS = 3000;

/** Milliseconds in which the event stream should be there. */
const STREAM_MS = 1000;

/** Whether the list was asked for. */
let isListed = false;

/** Shows the list, as soon as nothing can be missed any more. */
function beginList() {
  if (isListed || !may.list) return;
  isListed = true;
  list.open();
}

/** Shows what this visitor may do. */
async function show(isOpen = false) {
  /** @type {About} */
  let about;
  try {
    const response = await fetch("about", { headers: { Accept: "application/json" } });
    const text = await response.text();
    if (!response.ok) return showLater(problemIn(response.status, text));
    about = JSON.parse(text);
  } catch {
    return showLater({ status: 0, code: "", detail: "" });
  }
  setText(find("trouble", HTMLElement), "");
  const isOut = about.signIn === "needed";
  const visitor = JSON.stringify([about.signIn, about.user, about.may]);
  // The event stream was refused by a full server, or by one that has just stopped.
  if (visitor === shown) {
    return isOut || isOpen ? undefined : void setTimeout(() => session.open(), AGAIN_MS);
  }
  if (!isOut && sender.user !== "" && about.user !== sender.user) return leave();
  shown = visitor;
  may = isOut ? { list: false, get: false, put: false, talk: false } : about.may;
  const { maxFileBytes } = about;
  if (!isOut) sender.user = about.user ?? "";
  sender.maxFileBytes = (maxFileBytes ?? Infinity) < Number.MAX_SAFE_INTEGER ? maxFileBytes : null;
  list.mayGet = may.get;
  const { dataset } = document.documentElement;
  dataset.may = Object.entries(may).filter(([, is]) => is).map(([what]) => what).join(" ");
  dataset.signIn = about.signIn;
  find("sign-in", HTMLElement).hidden = !isOut;
  find("mouth", HTMLElement).hidden = !may.put;
  find("list", HTMLElement).hidden = !may.list;
  find("session", HTMLElement).hidden = !may.list && !may.talk;
  find("talk", HTMLElement).hidden = !may.talk;
  // Who has signed in under a name has that name.
  find("naming", HTMLElement).hidden = about.user !== null;
  find("visitor", HTMLElement).hidden = about.signIn !== "done";
  setText(find("user", HTMLElement), printable(about.user ?? ""));
  if (isOut) {
    session.close();
    find("key", HTMLElement).focus();
    return;
  }
  showCall();
  isListed = false;
  session.open();
  // Once the stream is there, what is stored is told: a list from before could lack something.
  setTimeout(beginList, STREAM_MS);
  if (may.put) {
    sender.resumeAll();
    await offerUnfinished();
    loadTus().catch(() => {});
  }
}

/** Nothing that was shown stays for who comes next. */
function leave() {
  for (const transfer of sender.transfers) if (transfer.isActive) sender.pause(transfer);
  location.reload();
}

/** @param {import("./words.js").Problem} problem Why the server does not tell it now. */
function showLater(problem) {
  setText(find("trouble", HTMLElement), adviceFor(problem).words);
  setTimeout(show, AGAIN_MS);
}

/** Says where files go, and how large they may be. */
function showCall() {
  const { folder } = list;
  const what = isTouched ? "Send files" : "Drop files or folders here";
  const into = folder === "" ? [] : [", into ", make("bdi", {}, printable(folder))];
  find("call", HTMLElement).replaceChildren(what, ...into);
  const { maxFileBytes } = sender;
  setText(
    find("limit", HTMLElement),
    maxFileBytes === null ? "" : `Up to ${sizeOf(maxFileBytes)} each.`,
  );
}

/** Offers what a page before this one did not finish. */
async function offerUnfinished() {
  for (const kept of await unfinished(sender.user)) await sender.offer(kept);
  await uploads.resumeKnown();
}

/**
 * Sends what was given.
 *
 * @param {import("./gather.js").Gathered[] | Promise<import("./gather.js").Gathered[]>} given
 */
async function send(given) {
  const trouble = find("trouble", HTMLElement);
  setText(trouble, "");
  const into = list.folder;
  const gathered = await given;
  for (const one of gathered) if (one.files.length > 0) await sender.add(one, into);
  const empty = gathered.filter(({ files }) => files.length === 0);
  if (empty.length > 0) {
    const names = empty.map(({ name }) => quoted(name)).join(", ");
    setText(
      trouble,
      `Nothing to send in ${names}: only files are sent, and the folders they are in.`,
    );
  }
  if (gathered.length > 1) say(`${countOf(gathered.length, "thing")} to send.`);
}

function watchInputs() {
  for (const id of ["files", "folder", "camera"]) {
    const input = find(id, HTMLInputElement);
    input.addEventListener("change", () => {
      if (input.files?.length) send(fromFiles([...input.files]));
      // The same file can be chosen again.
      input.value = "";
    });
  }
  const files = find("files", HTMLInputElement);
  files.addEventListener("click", (event) => {
    // By a handle it goes on after a reload without being chosen again.
    if (!canPick || !event.isTrusted) return;
    event.preventDefault();
    send(pick());
  });
  find("send-now", HTMLElement).hidden = true;
  find("folder-choice", HTMLElement).hidden = !("webkitdirectory" in files);
  find("camera-choice", HTMLElement).hidden = !("capture" in files && isTouched);
  document.addEventListener("paste", (event) => {
    if (!may.put || !event.clipboardData?.files.length) return;
    event.preventDefault();
    send(fromPaste(event.clipboardData));
  });
}

function watchDrops() {
  const { dataset } = find("bay", HTMLElement);
  const isFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  const root = document.documentElement;
  root.addEventListener("dragover", (event) => {
    if (!isFiles(event)) return;
    // Without, the browser would leave the page for the file.
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = may.put ? "copy" : "none";
    if (may.put) dataset.over = "";
  });
  root.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) delete dataset.over;
  });
  root.addEventListener("drop", (event) => {
    delete dataset.over;
    if (!isFiles(event)) return;
    event.preventDefault();
    if (may.put && event.dataTransfer) send(fromDrop(event.dataTransfer));
  });
}

function watchLeaving() {
  // A laptop that was closed need not wait for the next attempt.
  document.addEventListener("visibilitychange", () => document.hidden || sender.wake());
  globalThis.addEventListener("beforeunload", (event) => {
    if (sender.isMoving) event.preventDefault();
  });
  find("sign-out", HTMLElement).addEventListener("click", async () => {
    if (sender.isMoving && !confirm("Files are still being sent. Sign out, and stop them?")) return;
    try {
      await signOut();
      leave();
    } catch {
      setText(
        find("trouble", HTMLElement),
        "No connection to the server. You are still signed in.",
      );
    }
  });
}

setText(find("host", HTMLElement), location.host);
watchInputs();
watchDrops();
watchLeaving();
watchSignIn(async () => {
  await show();
  const start = find(may.put ? "files" : "path", HTMLElement);
  if (!may.put) start.tabIndex = -1;
  start.focus();
});
await show();
