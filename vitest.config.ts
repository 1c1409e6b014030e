import { defineConfig } from "vitest/config";
import { Order } from "./test/order.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/setup.ts",
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // More than there are processors: much of the time goes into waiting, for what others see.
    maxWorkers: 3,
    sequence: { sequencer: Order },
  },
});
