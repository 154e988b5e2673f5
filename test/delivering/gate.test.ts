import { afterEach, describe, expect, test } from "bun:test";
import { createGate, type Entry, type Gate } from "../../src/delivering/gate.ts";

const gates: Gate[] = [];

afterEach(() => {
  for (const gate of gates.splice(0)) gate.stop();
});

/** A gate on a clock of the test's own; every 100 real milliseconds it looks for whom to park. */
function gated(limit: number, share: (cap: number) => number = (cap) => cap) {
  const clock = { ms: 1_000 };
  const room: string[] = [];
  const gate = createGate({ limit, share, now: () => clock.ms, onRoom: ({ id }) => void room.push(id) });
  gates.push(gate);
  const went: string[] = [];
  return {
    gate,
    clock,
    room,
    /** Asks for a place; `entry` is null while it waits. */
    ask(id: string, maxInFlight: number): { id: string; entry: Entry | null } {
      const asked = { id, entry: null as Entry | null };
      const answered = (entry: Entry) => {
        asked.entry = entry;
        if (entry === "go") went.push(id);
      };
      const entry = gate.enter({ id, maxInFlight });
      if (typeof entry === "string") answered(entry);
      else void entry.then(answered);
      return asked;
    },
    /** Who was let in, in order. */
    went: () => went,
  };
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    if (i > 1_000) throw new Error("it did not come about in time");
    await Bun.sleep(10);
  }
}

const settle = () => Bun.sleep(0);
const look = () => Bun.sleep(250);

describe("an endpoint", () => {
  test("never has more in flight than its share", async () => {
    const { gate, ask, went } = gated(100, (cap) => cap / 2);
    for (let i = 0; i < 10; i++) ask("a", 6);
    expect(went()).toHaveLength(3);
    gate.leave("a", 10);
    await settle();
    expect(went()).toHaveLength(4);
    expect(gate.inFlight()).toBe(3);
  });

  test("without a share on this node is parked at once", () => {
    expect(gated(100, () => 0).ask("a", 1).entry).toBe("park");
  });

  test("gets a raised cap with the next who asks", async () => {
    const { gate, ask, went } = gated(100);
    for (let i = 0; i < 3; i++) ask("a", 1);
    ask("a", 4);
    gate.leave("a", 1);
    await settle();
    expect(went()).toHaveLength(5 - 1);
  });

  test("parks who waited longer than half a second for a place of its own", async () => {
    const { ask, clock } = gated(100);
    ask("a", 1);
    const patient = ask("a", 1);
    clock.ms += 400;
    await look();
    expect(patient.entry).toBeNull();
    clock.ms += 200;
    await until(() => patient.entry !== null);
    expect(patient.entry).toBe("park");
  });

  test("does not park who waits only for the node", async () => {
    const { gate, ask, clock } = gated(1);
    ask("a", 1);
    const waiting = ask("b", 1);
    clock.ms += 1_500;
    await look();
    expect(waiting.entry).toBeNull();
    gate.leave("a", 10);
    await until(() => waiting.entry === "go");
  });
});

describe("the node's places", () => {
  test("are given to endpoints in turn, however much one of them wants", async () => {
    const { gate, ask, went } = gated(1);
    ask("busy", 10);
    for (let i = 0; i < 5; i++) ask("busy", 10);
    for (let i = 0; i < 2; i++) ask("b", 10);
    ask("c", 10);
    for (let i = 0; i < 6; i++) {
      gate.leave(went().at(-1) ?? "", 10);
      await settle();
    }
    expect(went().slice(1)).toEqual(["busy", "b", "c", "busy", "b", "busy"]);
  });

  test("never hold more than the limit while all are healthy", () => {
    const { gate, ask } = gated(5);
    for (let i = 0; i < 20; i++) ask(`endpoint ${i}`, 3);
    expect(gate.inFlight()).toBe(5);
  });
});

describe("slow endpoints", () => {
  /** Makes an endpoint known as slow. */
  function slowDown({ gate, ask }: { gate: Gate; ask: (id: string, cap: number) => unknown }, id: string): void {
    ask(id, 100);
    gate.leave(id, 60_000);
  }

  test("together take at most half of the places", () => {
    const all = gated(8);
    for (const id of ["s1", "s2", "s3"]) slowDown(all, id);
    const before = all.went().length;
    for (let i = 0; i < 4; i++) for (const id of ["s1", "s2", "s3"]) all.ask(id, 100);
    expect(all.went().length - before).toBe(4);
    for (let i = 0; i < 9; i++) all.ask("healthy", 100);
    expect(all.gate.inFlight()).toBe(8);
    expect(all.went().filter((id) => id === "healthy")).toHaveLength(4);
  });

  test("park at once what they cannot take", async () => {
    const all = gated(8);
    slowDown(all, "s");
    all.ask("s", 1);
    expect(all.ask("s", 1).entry).toBe("park");
  });

  test("that hang without warning lend the rest its places back", async () => {
    const { gate, ask, clock, went } = gated(8);
    for (let i = 0; i < 8; i++) ask(`hanging ${i % 2}`, 4);
    expect(gate.inFlight()).toBe(8);
    const healthy = Array.from({ length: 6 }, (_, i) => ask(`healthy ${i}`, 4));
    await look();
    expect(healthy.every(({ entry }) => entry === null)).toBe(true);
    clock.ms += 2_500;
    await until(() => healthy.filter(({ entry }) => entry === "go").length === 4);
    for (let i = 0; i < 8; i++) gate.leave(`hanging ${i % 2}`, 15_000);
    await until(() => healthy.every(({ entry }) => entry === "go"));
    expect(gate.inFlight()).toBe(6);
    expect(went()).toHaveLength(14);
  });

  test("are as good as any other once they answer in time again", () => {
    const all = gated(8);
    slowDown(all, "s");
    for (let i = 0; i < 20; i++) {
      all.ask("s", 100);
      all.gate.leave("s", 5);
    }
    for (let i = 0; i < 8; i++) all.ask("s", 100);
    expect(all.gate.inFlight()).toBe(8);
  });

  test("are offered no more of their backlog than their half has left", () => {
    const all = gated(8);
    slowDown(all, "s1");
    slowDown(all, "s2");
    for (let i = 0; i < 3; i++) all.ask("s1", 100);
    expect(all.gate.room({ id: "s2", maxInFlight: 100 })).toBe(1);
  });
});

describe("a backlog", () => {
  test("is asked for as places become free, and not after it was cleared", () => {
    const { gate, ask, room } = gated(8);
    for (let i = 0; i < 4; i++) ask("a", 2);
    gate.leave("a", 10);
    expect(room).toEqual([]);
    gate.noteBacklog({ id: "a", maxInFlight: 2 });
    gate.leave("a", 10);
    expect(room).toEqual(["a"]);
    gate.clearBacklog("a");
    gate.leave("a", 10);
    expect(room).toEqual(["a"]);
  });

  test("is taken in larger rounds from a fast endpoint", () => {
    const { gate, ask } = gated(100);
    expect(gate.room({ id: "new", maxInFlight: 10 })).toBe(10);
    ask("fast", 10);
    gate.leave("fast", 5);
    expect(gate.room({ id: "fast", maxInFlight: 10 })).toBe(80);
    ask("steady", 10);
    gate.leave("steady", 200);
    expect(gate.room({ id: "steady", maxInFlight: 10 })).toBe(12);
    for (let i = 0; i < 15; i++) ask("steady", 10);
    expect(gate.room({ id: "steady", maxInFlight: 10 })).toBe(0);
  });
});

test("stopping sends everybody away who waits, and whoever comes later", async () => {
  const { gate, ask } = gated(1);
  ask("a", 1);
  const waiting = [ask("a", 1), ask("b", 1)];
  gate.stop();
  await settle();
  expect(waiting.map(({ entry }) => entry)).toEqual(["stopped", "stopped"]);
  expect(ask("c", 1).entry).toBe("stopped");
  gate.leave("a", 10);
  expect(gate.inFlight()).toBe(0);
});
