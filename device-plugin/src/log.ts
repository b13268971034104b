export { createLog, type Log, messageOf } from "@loretoken/service";
