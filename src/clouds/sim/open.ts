import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Boxes } from "../box.ts";
import type { Cloud } from "../cloud.ts";
import { simBoxes } from "./boxes.ts";
import { simCloud } from "./cloud.ts";
import { publisher } from "./publish.ts";
import { webServer } from "./web.ts";
import { World, type WorldOptions } from "./world.ts";

/** How long changes are gathered before the world is written to its file. */
const saveAfterMs = 100;

/**
 * A simulated cloud. `publish`: internet-facing balancers listen on loopback. `file`: the world is kept there and goes
 * on after a restart. `connect` gives another drover process its own side of the same world.
 */
export function openSimCloud(options: WorldOptions & { publish?: boolean; file?: string }): {
  world: World;
  cloud: Cloud;
  boxes: Boxes;
  connect(): { cloud: Cloud; boxes: Boxes };
} {
  const world = new World(options);
  const web = webServer(world);
  const published = publisher(world, web.connect);
  const keeper = options.file === undefined ? undefined : keepIn(options.file, world);
  world.onChange = () => {
    if (options.publish) published.sync();
    keeper?.changed();
  };
  if (options.publish) published.sync();
  const connect = () => ({
    cloud: simCloud(world, options.publish ? published.address : undefined),
    boxes: simBoxes(world, web.connect),
  });
  const { cloud, boxes } = connect();
  const close = async () => {
    published.close();
    keeper?.close();
    world.freeze();
  };
  return { world, cloud: { ...cloud, close }, boxes, connect };
}

function keepIn(file: string, world: World) {
  mkdirSync(dirname(file), { recursive: true });
  if (existsSync(file)) world.restore(JSON.parse(readFileSync(file, "utf8")));
  let waiting = false;
  let closed = false;
  const save = () => {
    waiting = false;
    // Another process may have the file by now.
    if (closed) return;
    writeFileSync(`${file}.new`, JSON.stringify(world.save()), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  return {
    close() {
      save();
      closed = true;
    },
    changed() {
      if (waiting) return;
      waiting = true;
      void world.clock.sleep(saveAfterMs).then(save);
    },
  };
}
