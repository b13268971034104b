export { createLog, type Log, messageOf } from "./log.ts";
export { every, type Loop } from "./loop.ts";
export { type Page, PageServer, type Pages } from "./pages.ts";
export { type CommandLine, ConfigError, readCommandLine } from "./settings/command-line.ts";
export { helpText, type Program, settingsTable } from "./settings/help.ts";
export { type Setting, type SettingsSchema, settingsOf } from "./settings/setting.ts";
