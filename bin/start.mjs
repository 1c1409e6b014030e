// `npm start`: all set-up, then the main job. Its options are those of `drover demo`.
import { bootstrap } from "./bootstrap.mjs";

bootstrap();
process.argv.splice(2, 0, "demo");
await import("../dist/cli/main.js");
