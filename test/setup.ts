import { build } from "../bin/bootstrap.mjs";

/** Tests that run drover as a user does need it compiled. */
export default function setup(): void {
  build();
}
