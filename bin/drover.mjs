#!/usr/bin/env node
import { bootstrap } from "./bootstrap.mjs";

bootstrap();
await import("../dist/cli/main.js");
