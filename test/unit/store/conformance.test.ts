import { layerStoreSuite } from '../../conformance/layer-store.js';
import { fakeLayerStore } from '../../fakes/layer-store.js';
import { harness } from './home.js';

layerStoreSuite('in memory', async () => ({ store: fakeLayerStore(), cleanup: async () => undefined }));
layerStoreSuite('on disk', () => harness());
layerStoreSuite('on disk, synced', () => harness({ sync: 'data' }));
