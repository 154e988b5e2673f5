// The little that the dashboard does by itself in the browser. Everything listens on the document, since parts of the
// pages are replaced while they are looked at; nothing here is needed to read a page or to send a form.
(() => {
  document.documentElement.classList.add("scripted");
  // On a narrow screen the navigation is a strip: its present entry has to be in sight.
  document.querySelector('[aria-current="page"]')?.scrollIntoView({ inline: "center", block: "nearest" });

  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) copyText(copy);
    const pick = event.target.closest("[data-pick]");
    if (pick) pickValue(pick);
    const collect = event.target.closest("[data-collect]");
    if (collect) pickList(collect);
    const pause = event.target.closest("[data-pause]");
    if (pause) togglePause(pause);
  });

  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-check-all]");
    if (all) for (const box of document.querySelectorAll(".chosen")) box.checked = all.checked;
    const kinds = event.target.closest("[data-kinds]");
    if (kinds) showKind(kinds);
  });

  async function copyText(button) {
    const text = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it by hand";
    }
    setTimeout(() => {
      button.textContent = text;
    }, 1500);
  }

  // ── relative times ───────────────────────────────────────────────────────────────────────────────────────────────

  const words = new Intl.RelativeTimeFormat("en", { style: "short", numeric: "always" });
  const units = [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
    ["second", 1],
  ];

  function relative(seconds) {
    for (const [unit, size] of units) {
      if (Math.abs(seconds) >= size) return words.format(Math.trunc(seconds / size), unit);
    }
    return "now";
  }

  function refreshTimes() {
    if (document.hidden) return;
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const seconds = Math.round((Date.parse(time.dateTime) - Date.now()) / 1000);
      const text = relative(time.dataset.relative === "due" ? Math.max(seconds, 0) : seconds);
      if (time.textContent !== text) time.textContent = text;
    }
  }
  setInterval(refreshTimes, 5_000);

  // ── fields of a secret by its kind ───────────────────────────────────────────────────────────────────────────────

  function showKind(select) {
    for (const part of document.querySelectorAll("[data-kind]")) {
      const isShown = part.dataset.kind.split(" ").includes(select.value);
      part.hidden = !isShown;
      for (const input of part.querySelectorAll("input")) input.disabled = !isShown;
    }
  }
  for (const select of document.querySelectorAll("[data-kinds]")) showKind(select);

  // ── picking fields out of a reply ────────────────────────────────────────────────────────────────────────────────

  function pickValue(button) {
    const area = document.getElementById(button.dataset.into);
    const { path, pick: name } = button.dataset;
    const lines = area.value.split("\n").filter((line) => line.trim() !== "");
    const same = lines.findIndex((line) => line.slice(line.indexOf("=") + 1).trim() === path);
    if (same === -1) lines.push(`${freeName(lines, name)} = ${path}`);
    else lines.splice(same, 1);
    area.value = lines.join("\n");
    markPicked();
    const said = document.getElementById("picked");
    if (said) said.textContent = same === -1 ? `${path} was added to the fields` : `${path} was taken out`;
  }

  function pickList(button) {
    const fill = (name, text) => {
      const input = document.getElementById(name);
      input.value = text;
      input.closest("details").open = true;
    };
    fill("items_path", button.dataset.collect);
    fill("items_key", button.dataset.key);
    fill("items_fields", button.dataset.fields);
    document.getElementById("items_path").focus();
  }

  function freeName(lines, wanted) {
    const taken = new Set(lines.map((line) => line.split("=")[0].trim()));
    let name = wanted;
    for (let n = 2; taken.has(name); n++) name = `${wanted}_${n}`;
    return name;
  }

  function markPicked() {
    for (const button of document.querySelectorAll("[data-pick]")) {
      const lines = document.getElementById(button.dataset.into).value.split("\n");
      const isPicked = lines.some((line) => line.slice(line.indexOf("=") + 1).trim() === button.dataset.path);
      button.setAttribute("aria-pressed", String(isPicked));
    }
  }
  markPicked();

  // ── live log ─────────────────────────────────────────────────────────────────────────────────────────────────────

  const SHOWN_ROWS = 300;
  const HELD_FRAMES = 100;
  const held = [];
  let isPaused = false;

  function togglePause(button) {
    isPaused = !isPaused;
    button.setAttribute("aria-pressed", String(isPaused));
    button.textContent = isPaused ? "Go on" : "Pause";
    const log = document.querySelector(".log");
    if (isPaused || !log) return;
    for (const html of held.splice(0)) insert(log, html);
    trim(log);
  }

  /** Frames are written by the same view as the page, so their text is safe to insert. */
  function insert(log, html) {
    const part = document.createElement("template");
    part.innerHTML = html;
    for (const row of part.content.querySelectorAll("li")) {
      if (row.id && document.getElementById(row.id)) row.remove();
      else row.classList.add("fresh");
    }
    log.prepend(part.content);
  }

  function trim(log) {
    while (log.children.length > SHOWN_ROWS) log.lastElementChild.remove();
  }

  function say(state, text) {
    const status = document.getElementById("stream-state");
    if (!status) return;
    status.className = `status ${state}`;
    status.lastElementChild.textContent = text;
    status.firstElementChild.textContent = state === "good" ? "✓" : "…";
  }

  document.addEventListener("htmx:sse:before:message", (event) => {
    const { message } = event.detail;
    if (message.event) return;
    // We insert by ourselves: what was sent twice around a reconnect is dropped, and a pause loses nothing.
    event.preventDefault();
    event.detail.cancelled = true;
    const log = event.target.closest(".log");
    if (!log) return;
    if (isPaused) {
      held.push(message.data);
      if (held.length > HELD_FRAMES) held.shift();
      return;
    }
    insert(log, message.data);
    trim(log);
  });
  document.addEventListener("htmx:sse:after:connection", () => say("good", "live"));
  for (const name of ["htmx:sse:error", "htmx:sse:before:connection", "htmx:sse:close"]) {
    document.addEventListener(name, () => say("warn", "reconnecting"));
  }
  document.addEventListener("htmx:sse:error", (event) => {
    if (event.detail.status === 401) location.reload();
  });

  // Whose session has ended is asked to sign in, and comes back to the same page.
  document.addEventListener("htmx:response:error", (event) => {
    if (event.detail.ctx?.response?.status === 401) location.reload();
    else say("warn", "reconnecting");
  });

  // ── plots ────────────────────────────────────────────────────────────────────────────────────────────────────────

  const PLOTS = {
    deliveries: {
      lines: [
        ["delivered", "delivered", "--good"],
        ["failed", "failed tries", "--bad"],
      ],
      unit: "",
    },
    latency: {
      lines: [
        ["latencyP50", "p50", "--accent"],
        ["latencyP95", "p95", "--warn"],
      ],
      unit: "ms",
    },
    polls: {
      lines: [
        ["polls", "polls", "--accent"],
        ["failedPolls", "failed", "--bad"],
      ],
      unit: "",
    },
    lag: {
      lines: [
        ["lagP50", "p50", "--accent"],
        ["lagP95", "p95", "--warn"],
      ],
      unit: "ms",
    },
  };

  const plots = document.querySelector("[data-plots]");
  if (plots && globalThis.uPlot) {
    drawAgain();
    let redrawing = 0;
    addEventListener("resize", () => {
      clearTimeout(redrawing);
      redrawing = setTimeout(draw, 200);
    });
  }

  /** Whoever waits for the first values sees them soon. */
  async function drawAgain() {
    if (!document.hidden) await draw();
    setTimeout(drawAgain, plots.querySelector(".nothing") ? 5_000 : 30_000);
  }

  async function draw() {
    const answer = await fetch(plots.dataset.plots).catch(() => null);
    if (!answer?.ok) return;
    const series = await answer.json();
    for (const box of plots.querySelectorAll("[data-plot]")) drawOne(box, series);
  }

  function drawOne(box, series) {
    const { lines, unit } = PLOTS[box.dataset.plot];
    const legend = document.querySelector(`[data-legend="${box.dataset.plot}"]`);
    if (!lines.some(([key]) => series[key].some((value) => value))) {
      legend.textContent = "";
      // What is in an image cannot be reached, and there are links in it.
      box.setAttribute("role", "group");
      box.replaceChildren(document.getElementById(`${box.dataset.plot}-empty`).content.cloneNode(true));
      return;
    }
    // A step has a width, the last one too: it ends where the next would begin.
    const ends = [...series.at, 2 * series.at.at(-1) - series.at.at(-2)];
    const held = (values) => [...values, unit === "ms" ? null : values.at(-1)];
    const last = series.at.length - 1;
    const axis = {
      stroke: colour("--quiet"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
      font: "12px system-ui",
    };
    const shown = (value) => (value == null ? "–" : unit === "ms" ? span(value) : value.toLocaleString("en"));
    const tell = (index) => {
      const parts = lines.map(([key, label, name], i) => {
        const sign = document.createElement("span");
        sign.textContent = i === 0 ? "━" : "╌";
        sign.style.color = colour(name);
        return [i === 0 ? "" : "  ", sign, ` ${label} ${shown(series[key][index])}`];
      });
      legend.replaceChildren(...parts.flat());
    };
    box.setAttribute("role", "img");
    box.replaceChildren();
    new uPlot(
      {
        width: box.clientWidth,
        height: box.clientHeight,
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        scales: {
          y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : unit === "ms" ? 100 : 1] },
        },
        axes: [
          { ...axis, size: 28, space: 64, values: (_plot, ticks) => ticks.map((at) => clock(at, series.at)) },
          { ...axis, size: 60, values: (_plot, ticks) => ticks.map(shown) },
        ],
        // The second line is dashed: lines are told apart without their colours.
        series: [{}].concat(
          lines.map(([key, label, name], i) => ({
            label,
            stroke: colour(name),
            width: 2,
            ...(i === 0 ? {} : { dash: [6, 4] }),
            // What was counted holds for its whole step, so that a single one can be seen.
            ...(unit === "ms" ? { spanGaps: true } : { paths: uPlot.paths.stepped({ align: 1 }) }),
            points: pointsOf(unit, series[key], colour(name)),
          })),
        ),
        hooks: { setCursor: [(plot) => tell(Math.min(plot.cursor.idx ?? last, last))] },
      },
      [ends, ...lines.map(([key]) => held(series[key]))],
      box,
    );
    tell(last);
  }

  /** A token as the canvas knows colours: of light and dark, the one in force. */
  function colour(name) {
    plots.style.outlineColor = `var(${name})`;
    return getComputedStyle(plots).outlineColor;
  }

  /** Percentiles are there only where something happened: a line needs two of them, so few are drawn as dots. */
  function pointsOf(unit, values, fill) {
    const isSparse = unit === "ms" && values.filter((value) => value !== null).length < 12;
    return { show: isSparse, size: 7, fill, stroke: fill };
  }

  /** The time of day, or the day where a plot spans several. */
  function clock(at, all) {
    const isDays = all.at(-1) - all[0] > 100_000;
    const shown = isDays
      ? { day: "numeric", month: "short" }
      : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    return new Intl.DateTimeFormat("en", shown).format(new Date(at * 1000));
  }

  function span(ms) {
    if (ms < 1_000) return `${Math.round(ms)} ms`;
    return ms < 100_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
  }
})();
