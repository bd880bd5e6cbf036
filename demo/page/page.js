// One round after the other: ask, wait for a point, show what PostGIS says of it.

import { WorldMap } from "./map.js";

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const seen = [];
const tally = { rounds: 0, points: 0 };
let question = null;
let mine = 0;

const map = new WorldMap($("map"), { pick: guess, speak: (words) => { $("spoken").textContent = words; } });

/** JSON from the app; an error in its words. `fetch` itself fails where nobody answers. */
async function call(path, body) {
  const request = body && {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, request);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `the app answered ${response.status}`);
  return answer;
}

/** Runs `work` until it succeeds, and says meanwhile what is wrong. */
async function insist(work) {
  for (;;) {
    try {
      const result = await work();
      $("notice").hidden = true;
      return result;
    } catch (error) {
      $("notice").textContent = `One moment: ${error.message}. Trying again.`;
      $("notice").hidden = false;
      await new Promise((done) => { setTimeout(done, 1000); });
    }
  }
}

function distance(metres) {
  if (metres < 1000) return `${metres.toFixed(0)} m`;
  return `${number.format(metres < 100000 ? Number((metres / 1000).toFixed(1)) : Math.round(metres / 1000))} km`;
}

function praise({ metres, rank }) {
  const first = rank === 1 && tally.rounds > 0 ? " The best guess of this place so far." : "";
  if (metres < 25000) return `Spot on.${first}`;
  if (metres < 150000) return `You have been there.${first}`;
  if (metres < 600000) return `Close.${first}`;
  if (metres < 2000000) return `The right corner of the earth.${first}`;
  if (metres < 6000000) return "The same planet, at least.";
  return "Quite another part of the world.";
}

async function ask() {
  $("result").hidden = true;
  $("next").hidden = true;
  const wanted = new URLSearchParams(location.search).get("place");
  const query = wanted && !seen.length ? { place: wanted } : { seen: seen.slice(-40).join(",") };
  question = await insist(() => call(`api/round?${new URLSearchParams(query)}`));
  seen.push(question.id);
  $("kicker").textContent = "Find on the map";
  $("place").textContent = question.name;
  $("country").textContent = question.country;
  $("question").dataset.place = question.id;
  map.ask();
}

async function guess([longitude, latitude]) {
  const player = $("player").value;
  const sent = { place: question.id, longitude, latitude, player };
  const outcome = await insist(() => call("api/guesses", sent));
  tally.rounds += 1;
  tally.points += outcome.points;
  mine = outcome.id;
  map.show([longitude, latitude], [outcome.longitude, outcome.latitude], question.name);
  show(outcome, { longitude, latitude });
  await scores();
}

function show(outcome, { longitude, latitude }) {
  Object.assign($("result").dataset, {
    place: question.id, metres: outcome.metres, points: outcome.points, score: outcome.id, longitude, latitude,
  });
  $("kicker").textContent = "It is here";
  $("distance").textContent = `${distance(outcome.metres)} off`;
  $("distance").parentElement.classList.toggle("near", outcome.metres < 150000);
  $("exact").textContent = `${number.format(outcome.metres.toFixed(1))} m`;
  $("verdict").textContent = `${number.format(outcome.points)} points. ${praise(outcome)}`;
  $("result").hidden = false;
  $("next").hidden = false;
  $("next").focus({ preventScroll: true });
  $("rounds").textContent = number.format(tally.rounds);
  $("points").textContent = number.format(tally.points);
  $("average").textContent = number.format(Math.round(tally.points / tally.rounds));
}

function row(score) {
  const line = document.createElement("tr");
  const cells = [score.player, score.place, distance(score.metres), number.format(score.points)];
  for (const text of cells) line.insertCell().textContent = text;
  line.dataset.score = score.id;
  line.title = new Date(score.at).toLocaleString();
  line.classList.toggle("mine", score.id === mine);
  return line;
}

function fill(body, list) {
  if (list.length) return body.replaceChildren(...list.map(row));
  const cell = document.createElement("tr").insertCell();
  cell.colSpan = 4;
  cell.className = "none";
  cell.textContent = "Nobody yet. The first line is yours.";
  return body.replaceChildren(cell.parentElement);
}

async function scores() {
  const { best, latest, total } = await insist(() => call("api/scores"));
  fill($("best"), best);
  fill($("latest"), latest);
  $("total").textContent = `${number.format(total)} ${total === 1 ? "guess" : "guesses"}`;
}

$("player").value = localStorage.getItem("player") ?? "";
$("player").addEventListener("change", (event) => localStorage.setItem("player", event.target.value));
$("next").addEventListener("click", () => { ask(); $("map").focus({ preventScroll: true }); });
$("closer").addEventListener("click", () => map.zoom(1.6));
$("wider").addEventListener("click", () => map.zoom(1 / 1.6));

map.draw(await insist(() => call("world.json")));
await Promise.all([ask(), scores()]);
document.documentElement.dataset.ready = "true";
