export { configFor, type Fault, type Seen, status, TestApiServer } from "./api-server.ts";
export { TestClock } from "./clock.ts";
export { Mirror } from "./mirror.ts";
export { randomFrom } from "./random.ts";
export { until } from "./until.ts";
export { type RequestFault, type Thing, type WatchFault, WatchServer, watchFaults } from "./watch-server.ts";
