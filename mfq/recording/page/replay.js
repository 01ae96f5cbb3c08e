// Plays a recording. The header says what is in the data; see mfq/recording/page.py.
// Frames f, agents i and j, actions a, types t. Arrays of agents are indexed [i * frames + f]. In those of
// places other things, such as food, follow the agents.

const VERSION = 1;
const ARRAYS = { uint8: Uint8Array, int16: Int16Array, int32: Int32Array, float32: Float32Array };
const NAMED = { red: "#d1553f", blue: "#3f78b5", green: "#1f9e7d", amber: "#e0992e" };
const COLORS = ["#3f78b5", "#e0992e", "#1f9e7d", "#d1553f", "#8d6bb8", "#7a7a7a"];
const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
const MOST_EDGES = 400; // that are drawn of one agent
const BELOW = 290; // pixels for what stands above and below the board
const $ = (id) => document.getElementById(id);

try {
  start(await read());
} catch (error) {
  $("error").hidden = false;
  $("error").textContent = `This file cannot be played: ${error.message}`;
}

// -- the data ------------------------------------------------------------------------------------

async function read() {
  const header = JSON.parse($("header").textContent);
  if (header.version !== VERSION) {
    throw new Error(`it has version ${header.version}; this page plays version ${VERSION}`);
  }
  const text = atob($("data").textContent.trim());
  const packed = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const data = {};
  for (const [name, [kind, shape, offset]] of Object.entries(header.arrays)) {
    const length = shape.reduce((product, size) => product * size, 1);
    if (!ARRAYS[kind] || offset + length * ARRAYS[kind].BYTES_PER_ELEMENT > buffer.byteLength) {
      throw new Error(`its array ${name} is incomplete`);
    }
    data[name] = new ARRAYS[kind](buffer, offset, length);
  }
  const { frames, agents } = header;
  const units = agents.length + header.thing.length;
  if (!(frames > 0) || !agents.length || data.x.length !== frames * units) {
    throw new Error("it has no frames, or frames of another size");
  }
  return { ...header, data, count: agents.length };
}

function start(replay) {
  const { data, frames, count } = replay;
  const at = (i, f) => i * frames + f;
  const mode = { time: 0, playing: false, speed: 2, hovered: -1, pinned: -1 };
  const all = count + replay.thing.length;
  const named = (name) => NAMED[replay.colors[name] ?? name];
  const colors = replay.groups.map((name, k) => named(name) ?? COLORS[k % COLORS.length]);
  const things = replay.things.map((name) => named(name) ?? COLORS[2]);
  const color = (i) => (i < count ? colors[replay.group[i]] : things[replay.thing[i - count]]);
  const typeOf = (i) => replay.types[replay.type[i]];
  const sameActions = replay.types.map((one) => replay.types.map(
    (other) => one.actions.join() === other.actions.join(),
  ));
  const most = Math.max(...replay.types.map((type) => type.actions.length));
  const graph = neighbourhoods(replay);
  const curves = curvesOf(replay, colors, things);
  const board = $("board"), chart = $("chart");
  const center = (i, f) => [
    data.x[at(i, f)] + replay.bodies[i][0] / 2, data.y[at(i, f)] + replay.bodies[i][1] / 2,
  ];
  const frame = () => Math.max(0, Math.min(frames - 1, Math.floor(mode.time + 1e-6)));
  const episode = (f) => replay.starts.findLastIndex((first) => first <= f);
  const focus = () => (mode.hovered >= 0 ? mode.hovered : mode.pinned);
  let shownFrame = -1, shownFocus = -2, waiting = false, last = 0;

  $("main").hidden = false;
  $("time").max = frames - 1;
  for (const [k, factor] of SPEEDS.entries()) {
    $("speed").add(new Option(`${factor}×`, k));
  }
  $("speed").value = mode.speed;
  $("legend").replaceChildren(...curves.flatMap((curve) => [label(curve.title, curve.color)]));
  const valueBars = replay.types.map((type) => bars($("values"), type.actions));
  const meanBars = replay.types.map((type) => bars($("mean"), type.actions));

  // -- what the actions mean -------------------------------------------------------------------

  /** The values that agent i compared in frame f, or null. */
  function valuesOf(i, f) {
    const low = data.low?.[at(i, f)], high = data.high?.[at(i, f)];
    if (low === undefined || Number.isNaN(low)) return null;
    const first = i * most;
    return typeOf(i).actions.map((_, a) => (
      low + (data.level[(first + a) * frames + f] / 255) * (high - low)
    ));
  }

  /** The mean action of i's neighbours in the step before frame f, of those with the same actions. */
  function meanOf(i, f) {
    const number = episode(f), isFirst = replay.starts[number] === f;
    const mean = typeOf(i).actions.map(() => 0);
    let total = 0;
    for (const j of graph(i, isFirst ? f : f - 1)) {
      if (!sameActions[replay.type[i]][replay.type[j]]) continue;
      const a = isFirst ? data.initial[number * count + j] : data.action[at(j, f - 1)];
      if (a >= 0) {
        mean[a] += 1;
        total += 1;
      }
    }
    return mean.map((share) => share / Math.max(total, 1));
  }

  // -- drawing ---------------------------------------------------------------------------------

  /** Fits a canvas to its width on the page and to the pixels of the screen; returns its context. */
  function fit(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    const size = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  function drawBoard() {
    const [columns, rows] = replay.board;
    const height = Math.max(240, window.innerHeight - BELOW);
    const room = Math.min($("stage").clientWidth, (height * columns) / rows);
    board.style.width = `${room}px`;
    board.style.height = `${(room * rows) / columns}px`;
    const width = board.clientWidth, cell = width / columns;
    const context = fit(board, width, board.clientHeight);
    const style = getComputedStyle(document.documentElement);
    const f = frame(), part = mode.time - f, chosen = focus();
    const continues = f + 1 < frames && !replay.starts.includes(f + 1);
    if (chosen >= 0 && data.shown[at(chosen, f)]) drawSight(context, chosen, f, cell, style);
    context.fillStyle = style.getPropertyValue("--wall");
    for (const [x, y] of replay.walls[episode(f)]) context.fillRect(x * cell, y * cell, cell, cell);
    for (let i = 0; i < all; i += 1) {
      if (!data.shown[at(i, f)]) continue;
      const stays = continues && data.shown[at(i, f + 1)];
      const moved = stays ? part : 0;
      const x = data.x[at(i, f)], y = data.y[at(i, f)];
      const left = x + moved * (data.x[at(i, f + 1)] - x || 0);
      const top = y + moved * (data.y[at(i, f + 1)] - y || 0);
      const fades = continues && !stays ? 1 - part : 1;
      drawAgent(context, i, left, top, cell, data.value[at(i, f)], fades, chosen === i, style);
    }
    if (cell >= 3) drawAttacks(context, f, part, cell, style);
    if (chosen >= 0 && data.shown[at(chosen, f)]) drawEdges(context, chosen, f, cell, style);
  }

  function drawAgent(context, i, left, top, cell, value, alpha, isChosen, style) {
    const [low, high] = [replay.value.range[0], replay.most?.[i] ?? replay.value.range[1]];
    const share = Math.max(0, Math.min(1, (value - low) / (high - low || 1)));
    const [width, height] = replay.bodies[i];
    const gap = cell >= 6 ? cell * 0.08 : 0;
    const isColored = replay.groups.length > 1 || replay.things.length > 0;
    if (isColored) {
      context.globalAlpha = alpha * (0.35 + 0.65 * share);
      context.fillStyle = color(i);
    } else {
      context.globalAlpha = alpha;
      context.fillStyle = mix(COLORS[0], COLORS[1], share);
    }
    const box = [left * cell + gap, top * cell + gap, width * cell - 2 * gap, height * cell - 2 * gap];
    context.beginPath();
    // Of several types the first are round; other things are diamonds.
    const isRound = i < count && replay.types.length > 1 && replay.type[i] === 0;
    if (cell >= 6 && i >= count) diamond(context, ...box);
    else if (cell >= 6 && isColored) context.roundRect(...box, isRound ? Math.min(box[2], box[3]) / 2 : cell * 0.25);
    else context.rect(...box);
    context.fill();
    context.globalAlpha = 1;
    if (isChosen) {
      context.strokeStyle = style.getPropertyValue("--ink");
      context.lineWidth = 2;
      context.stroke();
    }
  }

  function drawAttacks(context, f, part, cell, style) {
    context.strokeStyle = style.getPropertyValue("--ink");
    context.lineWidth = Math.max(1, cell * 0.1);
    context.globalAlpha = mode.playing ? Math.max(0, 1 - part * 1.6) : 0.8;
    context.beginPath();
    for (let i = 0; i < count; i += 1) {
      const a = data.action[at(i, f)];
      if (a < 0 || !typeOf(i).attacks[a] || !data.shown[at(i, f)]) continue;
      const [x, y] = center(i, f), [dx, dy] = typeOf(i).aims[a];
      // From the middle of the body to that of the cell.
      const right = data.x[at(i, f)] + dx + 0.5 - x, down = data.y[at(i, f)] + dy + 0.5 - y;
      context.moveTo(x * cell, y * cell);
      context.lineTo((x + right * 0.8) * cell, (y + down * 0.8) * cell);
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  function drawSight(context, i, f, cell, style) {
    const [width, height] = replay.bodies[i];
    const x = data.x[at(i, f)] + Math.floor(width / 2), y = data.y[at(i, f)] + Math.floor(height / 2);
    context.fillStyle = style.getPropertyValue("--sight");
    context.globalAlpha = 0.13;
    for (const [dx, dy] of typeOf(i).sight) {
      context.fillRect((x + dx) * cell, (y + dy) * cell, cell, cell);
    }
    context.globalAlpha = 1;
  }

  function drawEdges(context, i, f, cell, style) {
    const near = graph(i, f).filter((j) => data.shown[at(j, f)]).slice(0, MOST_EDGES);
    const [x, y] = center(i, f);
    context.strokeStyle = style.getPropertyValue("--ink");
    context.globalAlpha = 0.35;
    context.lineWidth = 1;
    context.beginPath();
    for (const j of near) {
      const [toX, toY] = center(j, f);
      context.moveTo(x * cell, y * cell);
      context.lineTo(toX * cell, toY * cell);
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  function drawChart() {
    const width = chart.clientWidth, height = chart.clientHeight;
    const context = fit(chart, width, height);
    const style = getComputedStyle(document.documentElement);
    const across = (f) => (frames > 1 ? (f / (frames - 1)) * (width - 2) + 1 : 1);
    for (const { values, color, low, high } of curves) {
      context.strokeStyle = color;
      context.lineWidth = 1.5;
      context.beginPath();
      let isBroken = true;
      for (let f = 0; f < frames; f += 1) {
        if (values[f] === null) continue;
        const y = height - 3 - ((values[f] - low) / (high - low || 1)) * (height - 6);
        if (isBroken || replay.starts.includes(f)) context.moveTo(across(f), y);
        else context.lineTo(across(f), y);
        isBroken = false;
      }
      context.stroke();
    }
    context.strokeStyle = style.getPropertyValue("--ink");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(across(mode.time), 0);
    context.lineTo(across(mode.time), height);
    context.stroke();
  }

  // -- text ------------------------------------------------------------------------------------

  function write() {
    const f = frame(), i = focus();
    if (f === shownFrame && i === shownFocus) return;
    [shownFrame, shownFocus] = [f, i];
    const first = replay.starts[episode(f)];
    $("time").value = f;
    $("main").dataset.frame = f;
    $("clock").textContent = `step ${f - first}`
      + (replay.starts.length > 1 ? `, episode ${episode(f) + 1}` : "");
    $("counts").replaceChildren(...replay.groups.map((name, k) => {
      let living = 0;
      for (let j = 0; j < count; j += 1) living += replay.group[j] === k && data.shown[at(j, f)];
      return label(`${name} ${living}`, replay.groups.length > 1 || replay.things.length ? colors[k] : null);
    }), ...replay.things.map((name, k) => {
      let left = 0;
      for (let j = count; j < all; j += 1) left += replay.thing[j - count] === k && data.shown[at(j, f)];
      return label(`${name} ${left}`, things[k]);
    }), ...curves.filter((curve) => curve.isMeasure).map(
      (curve) => label(`${curve.title} ${number(curve.values[f] ?? NaN)}`, null),
    ));
    $("agent").hidden = i < 0;
    $("hint").hidden = i >= 0;
    if (i >= 0) writeAgent(i, f);
  }

  function writeAgent(i, f) {
    const isShown = data.shown[at(i, f)], a = data.action[at(i, f)];
    $("name").textContent = replay.agents[i];
    const facts = { group: replay.groups[replay.group[i]] };
    facts[replay.value.name] = isShown ? number(data.value[at(i, f)]) : "gone";
    facts.action = a >= 0 ? typeOf(i).actions[a] ?? "none" : "none";
    facts.reward = number(data.reward[at(i, f)]);
    facts.neighbours = graph(i, f).filter((j) => data.shown[at(j, f)]).length;
    $("facts").replaceChildren(...Object.entries(facts).flatMap(([name, text]) => {
      const [term, description] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      description.textContent = text;
      return [term, description];
    }));
    const values = isShown ? valuesOf(i, f) : null;
    $("values-title").textContent = values ? `${replay.values} of its actions` : "";
    $("values").hidden = !values;
    const limits = replay.values === "probability" ? [0, 1] : null;
    if (values) valueBars[replay.type[i]](values, a, limits);
    meanBars[replay.type[i]](meanOf(i, f), -1, [0, 1]);
    const isMixed = sameActions.some((row) => row.includes(false));
    $("mean-title").textContent = `Mean action of its neighbours${isMixed ? " of its type" : ""}`;
  }

  // -- time ------------------------------------------------------------------------------------

  function draw() {
    drawBoard();
    drawChart();
    write();
  }

  function refresh() {
    if (waiting || mode.playing) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  }

  function tick(now) {
    if (!mode.playing) return;
    // The first frame may have begun before the key was pressed.
    mode.time += (Math.max(0, Math.min(now - last, 250)) / 1000) * replay.fps * SPEEDS[mode.speed];
    last = now;
    if (mode.time >= frames - 1) {
      mode.time = frames - 1;
      play(false);
    }
    draw();
    if (mode.playing) requestAnimationFrame(tick);
  }

  function play(on) {
    if (on && mode.time >= frames - 1) mode.time = 0;
    mode.playing = on;
    $("play").textContent = on ? "❚❚" : "▶";
    $("play").setAttribute("aria-label", on ? "Pause" : "Play");
    if (!on) {
      mode.time = frame();
      refresh();
      return;
    }
    last = performance.now();
    requestAnimationFrame(tick);
  }

  function seek(f) {
    mode.time = Math.max(0, Math.min(frames - 1, f));
    refresh();
  }

  function setSpeed(k) {
    mode.speed = Math.max(0, Math.min(SPEEDS.length - 1, k));
    $("speed").value = mode.speed;
  }

  function agentAt(event) {
    const box = board.getBoundingClientRect(), cell = box.width / replay.board[0], f = frame();
    const x = (event.clientX - box.left) / cell, y = (event.clientY - box.top) / cell;
    let nearest = -1, least = Math.max(1, 10 / cell);
    for (let i = 0; i < count; i += 1) {
      if (!data.shown[at(i, f)]) continue;
      const [toX, toY] = center(i, f);
      const [width, height] = replay.bodies[i];
      // 0 within the body, else the distance to it.
      const far = Math.hypot(
        Math.max(0, Math.abs(x - toX) - width / 2), Math.max(0, Math.abs(y - toY) - height / 2),
      );
      if (far < least) [nearest, least] = [i, far];
    }
    return nearest;
  }

  function select(step) {
    const f = frame();
    for (let k = 1, i = mode.pinned; k <= count; k += 1) {
      i = (i + step + count + (i < 0 && step < 0 ? 1 : 0)) % count;
      if (data.shown[at(i, f)]) {
        [mode.pinned, mode.hovered] = [i, -1];
        return;
      }
    }
  }

  const keys = {
    " ": () => play(!mode.playing),
    ArrowLeft: (event) => seek(frame() - (event.shiftKey ? 10 : 1)),
    ArrowRight: (event) => seek(frame() + (event.shiftKey ? 10 : 1)),
    Home: () => seek(0),
    End: () => seek(frames - 1),
    "+": () => setSpeed(mode.speed + 1),
    "=": () => setSpeed(mode.speed + 1),
    "-": () => setSpeed(mode.speed - 1),
    "[": () => select(-1),
    "]": () => select(1),
    Escape: () => ([mode.pinned, mode.hovered] = [-1, -1]),
    "?": () => $("help").click(),
  };
  window.addEventListener("keydown", (event) => {
    const isControl = ["INPUT", "SELECT"].includes(event.target.tagName);
    const isButton = event.target.tagName === "BUTTON" && event.key === " ";
    if (isControl || isButton || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key](event);
    refresh();
  });
  $("play").addEventListener("click", () => play(!mode.playing));
  $("time").addEventListener("input", () => seek(Number($("time").value)));
  $("speed").addEventListener("change", () => setSpeed(Number($("speed").value)));
  $("help").addEventListener("click", () => {
    $("keys").hidden = !$("keys").hidden;
    $("help").setAttribute("aria-expanded", String(!$("keys").hidden));
  });
  board.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return; // a tap selects
    mode.hovered = agentAt(event);
    refresh();
  });
  board.addEventListener("pointerleave", () => {
    mode.hovered = -1;
    refresh();
  });
  board.addEventListener("click", (event) => {
    mode.pinned = agentAt(event);
    refresh();
  });
  chart.addEventListener("click", (event) => {
    const box = chart.getBoundingClientRect();
    seek(Math.round(((event.clientX - box.left) / box.width) * (frames - 1)));
  });
  window.addEventListener("resize", refresh);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
  draw();
}

/** Returns a function of (i, f): the neighbours of agent i at frame f, dead or alive. */
function neighbourhoods({ graph, data, count }) {
  if (graph.kind === "groups") {
    const members = new Map();
    graph.groups.forEach((group, i) => members.set(group, [...(members.get(group) ?? []), i]));
    return (i) => members.get(graph.groups[i]).filter((j) => j !== i);
  }
  const edges = data.edges.length / 2;
  const listed = new Map(); // by first and last edge
  return (i, f) => {
    const first = graph.kind === "fixed" || f === 0 ? 0 : graph.ends[f - 1];
    const end = graph.kind === "fixed" ? edges : graph.ends[f];
    if (!listed.has(first)) {
      const lists = Array.from({ length: count }, () => []);
      for (let e = first; e < end; e += 1) lists[data.edges[e]].push(data.edges[edges + e]);
      if (listed.size > 50) listed.clear();
      listed.set(first, lists);
    }
    return listed.get(first)[i];
  };
}

/** The curves of the chart: of the agents on the board where they become fewer, or of the measures; and
    of the rewards so far, the mean over a group's agents. */
function curvesOf({ frames, count, groups, group, starts, measures, data, things: names, thing }, colors, things) {
  const shown = groups.map(() => new Array(frames).fill(0));
  const earned = groups.map(() => new Array(frames).fill(0));
  const sizes = groups.map((_, k) => group.filter((each) => each === k).length);
  for (let i = 0; i < count; i += 1) {
    for (let f = 0; f < frames; f += 1) {
      shown[group[i]][f] += data.shown[i * frames + f];
      earned[group[i]][f] += data.reward[i * frames + f] / sizes[group[i]];
    }
  }
  for (const sums of earned) {
    for (let f = 1; f < frames; f += 1) sums[f] += starts.includes(f) ? 0 : sums[f - 1];
  }
  const curves = [];
  const range = (all) => {
    const known = all.flat().filter((value) => value !== null);
    return { low: known.reduce((a, b) => Math.min(a, b), 0), high: known.reduce((a, b) => Math.max(a, b), 1e-9) };
  };
  const several = groups.length > 1;
  if (shown.some((counts) => counts.some((n) => n !== counts[0]))) {
    shown.forEach((values, k) => curves.push({ title: `${groups[k]} on the board`, values, color: colors[k], ...range(shown) }));
  } else {
    Object.entries(measures).slice(0, several || names.length ? 0 : 3).forEach(([title, values], k) => (
      curves.push({ title: title.replaceAll("_", " "), values, color: COLORS[k], isMeasure: true, ...range([values]) })
    ));
  }
  names.forEach((name, k) => {
    const values = Array.from({ length: frames }, (_, f) => (
      thing.reduce((left, each, j) => left + (each === k && data.shown[(count + j) * frames + f]), 0)
    ));
    curves.push({ title: `${name} on the board`, values, color: things[k], ...range([values]) });
  });
  earned.forEach((values, k) => curves.push({
    title: several ? `reward of ${groups[k]} so far` : "reward so far",
    values,
    color: several ? mix(colors[k], "#888888", 0.45) : COLORS[3],
    ...range(earned),
  }));
  return curves;
}

/** Makes a row of a bar for each name; returns a function that sets their values. */
function bars(element, names) {
  const rows = names.map((name) => {
    const row = document.createElement("div");
    row.className = "bar";
    row.innerHTML = '<span></span><div class="track"><div class="fill"></div></div><span></span>';
    row.firstChild.textContent = name;
    row.title = name;
    return row;
  });
  return (values, chosen, limits) => {
    if (element.firstChild !== rows[0]) element.replaceChildren(...rows);
    const [low, high] = limits ?? [Math.min(...values), Math.max(...values)];
    values.forEach((value, a) => {
      rows[a].classList.toggle("chosen", a === chosen);
      rows[a].querySelector(".fill").style.width = `${(100 * (value - low)) / (high - low || 1)}%`;
      rows[a].lastChild.textContent = number(value);
    });
  };
}

/** Adds a diamond within a box to the path. */
function diamond(context, x, y, width, height) {
  context.moveTo(x + width / 2, y);
  context.lineTo(x + width, y + height / 2);
  context.lineTo(x + width / 2, y + height);
  context.lineTo(x, y + height / 2);
  context.closePath();
}

/** A text after a square of a colour. */
function label(text, color) {
  const element = document.createElement("span");
  if (color) {
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = color;
    element.append(swatch);
  }
  element.append(text);
  return element;
}

/** A number with three significant digits, or whole from 1000 on. */
function number(value) {
  if (!Number.isFinite(value)) return "–";
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

/** A colour between two, #rrggbb; 0 is the first. */
function mix(a, b, share) {
  const part = (color, k) => parseInt(color.slice(1 + 2 * k, 3 + 2 * k), 16);
  const mixed = [0, 1, 2].map((k) => Math.round(part(a, k) + share * (part(b, k) - part(a, k))));
  return `#${mixed.map((n) => n.toString(16).padStart(2, "0")).join("")}`;
}
