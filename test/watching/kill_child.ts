// A watching node in a process of its own that ends itself, as by a power cut, when it reaches the point that it is told.
import { type ConnectionTarget, connectDatabase } from "../../src/platform/database.ts";
import { silentLog } from "../../src/platform/log.ts";
import { startNode } from "./support.ts";

const target = JSON.parse(process.env.TARGET ?? "") as ConnectionTarget;
const database = connectDatabase(target, { max: 8, log: silentLog });
startNode(
  { database, target },
  {
    at(point) {
      if (point === process.env.KILL_AT) process.kill(process.pid, "SIGKILL");
    },
  },
);
