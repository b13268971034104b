export { configFor, type Fault, type Seen, TestApiServer } from "./api-server.ts";
export { TestClock } from "./clock.ts";
export { until } from "./until.ts";
