import { setPriority } from "node:os";

/** Of who only computes, on virtual time: tests that wait for real machines and clients go first. */
const niceness = 5;

setPriority(niceness);
