export {
  type AllocateAnswer,
  type DevicePlugin,
  type Devices,
  deviceHealth,
  devicePluginServer,
  mostDeviceIdBytes,
  type PluginOptions,
  type PreferredAnswer,
  type RegistrationRequest,
  register,
} from "./device-plugin.ts";
export type {
  AllocateRequest,
  PreferredAllocationRequest,
  PreStartContainerRequest,
} from "./gen/device-plugin-v1beta1.gen.ts";
export { CallError } from "./grpc.ts";
export { type ContainerDevices, type PodList, PodResources, type PodResourcesOptions } from "./pod-resources.ts";
export type { SocketServer } from "./server.ts";
