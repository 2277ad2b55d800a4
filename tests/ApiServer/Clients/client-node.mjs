// Unmodified @kubernetes/client-node against the API server. Says each step that has gone well as a line of standard output; waits for a line of
// standard input where the test does something in between.
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { PassThrough, Readable } from 'node:stream';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, kubeconfig] = process.argv.slice(2);
const k8s = await import(pathToFileURL(createRequire(modules + '/').resolve('@kubernetes/client-node')).href);
const config = new k8s.KubeConfig();
config.loadFromFile(kubeconfig);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const namespace = 'default';
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const said = (step) => console.log(step);
const told = async (what) => assert.equal((await lines.next()).value, what);
const code = async (call) => call.then(() => 200, (e) => e.code ?? e.statusCode);
const until = async (condition) => { while (!condition()) await new Promise((go) => setTimeout(go, 20)); };

// Typed clients: what is sent comes back as objects of the library's own classes.
const made = await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'typed', labels: { a: 'b' } }, data: { k: 'v' } } });
assert.equal(made.data.k, 'v');
assert.ok(made.metadata.creationTimestamp instanceof Date);
assert.equal(await code(core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'typed' } } })), 409);
assert.equal(await code(core.readNamespacedConfigMap({ namespace, name: 'none' })), 404);
const replaced = await core.replaceNamespacedConfigMap({ namespace, name: 'typed', body: { ...made, data: { k: 'w' } } });
assert.equal(replaced.data.k, 'w');
assert.equal(await code(core.replaceNamespacedConfigMap({ namespace, name: 'typed', body: { ...made, data: { k: 'x' } } })), 409);
for (let i = 0; i < 5; i++) await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: `page-${i}`, labels: { page: 'yes' } } } });
const names = [];
for (let token; token !== '';) {
  const page = await core.listNamespacedConfigMap({ namespace, labelSelector: 'page=yes', limit: 2, _continue: token });
  names.push(...page.items.map((x) => x.metadata.name));
  token = page.metadata._continue ?? '';
}
assert.deepEqual(names, ['page-0', 'page-1', 'page-2', 'page-3', 'page-4']);
const container = { name: 'c', command: ['serve'], resources: { limits: { cpu: '100m' } } };
const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [container] } };
const deployment = await apps.createNamespacedDeployment({ namespace, body: { metadata: { name: 'web' }, spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template } } });
assert.equal(deployment.spec.strategy.rollingUpdate.maxSurge, '25%');
const scale = await apps.readNamespacedDeploymentScale({ name: 'web', namespace });
scale.spec.replicas = 3;
await apps.replaceNamespacedDeploymentScale({ name: 'web', namespace, body: scale });
assert.equal((await apps.readNamespacedDeployment({ name: 'web', namespace })).spec.replicas, 3);
await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'page=yes' });
assert.equal((await core.listNamespacedConfigMap({ namespace, labelSelector: 'page=yes' })).items.length, 0);
said('typed');

// Patches of each kind.
const patch = (type, body) => apps.patchNamespacedDeployment({ name: 'web', namespace, body }, k8s.setHeaderOptions('Content-Type', type));
await patch(k8s.PatchStrategy.StrategicMergePatch, { spec: { template: { spec: { containers: [{ name: 'c', env: [{ name: 'A', value: '1' }] }] } } } });
await patch(k8s.PatchStrategy.MergePatch, { metadata: { labels: { merged: 'yes' } } });
const patched = await patch(k8s.PatchStrategy.JsonPatch, [{ op: 'replace', path: '/spec/replicas', value: 4 }]);
assert.deepEqual(patched.spec.template.spec.containers[0].command, ['serve']);
assert.equal(patched.spec.template.spec.containers[0].env[0].value, '1');
assert.equal(patched.metadata.labels.merged, 'yes');
assert.equal(patched.spec.replicas, 4);
said('patch');

// Server-side apply: owners, a conflict that names them, force.
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const apply = (manager, force, data) => objects.patch({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied', namespace }, data }, undefined, undefined, manager, force, k8s.PatchStrategy.ServerSideApply);
await apply('one', false, { a: '1', b: '1' });
const conflict = await apply('two', false, { b: '2' }).then(() => null, (e) => e);
assert.equal(conflict.code, 409);
assert.match(String(conflict.body), /one/);
const forced = await apply('two', true, { b: '2' });
assert.deepEqual(forced.data, { a: '1', b: '2' });
assert.deepEqual(forced.metadata.managedFields.map((x) => x.manager).sort(), ['one', 'two']);
const left = await apply('one', false, { });
assert.deepEqual(left.data, { b: '2' });
said('apply');

// An informer through cut connections, and through a history that no longer reaches back.
const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () => core.listNamespacedConfigMap({ namespace }));
const present = new Map();
let errors = 0;
informer.on('add', (x) => present.set(x.metadata.name, x));
informer.on('update', (x) => present.set(x.metadata.name, x));
informer.on('delete', (x) => present.delete(x.metadata.name));
informer.on('error', () => { errors++; setTimeout(() => informer.start(), 50); });
await informer.start();
await until(() => present.has('typed') && present.has('applied'));
said('informed');
await told('cut');
await until(() => present.has('while-cut'));
assert.ok(errors > 0);
said('resumed');
await told('compacted');
await until(() => present.has('while-compacted') && !present.has('while-cut'));
said('listed anew');
await informer.stop();

// A command in a pod: its output, its input, its exit code.
const exec = new k8s.Exec(config);
const run = (command, input) => new Promise((done, failed) => {
  const out = new PassThrough();
  const err = new PassThrough();
  const texts = ['', ''];
  out.on('data', (x) => { texts[0] += x; });
  err.on('data', (x) => { texts[1] += x; });
  exec.exec(namespace, 'worker', 'c', command, out, err, input ? Readable.from([input]) : null, false, (status) => setImmediate(() => done({ status, texts }))).catch(failed);
});
const failing = await run(['sh', '-c', 'echo out; echo err >&2; exit 7']);
assert.deepEqual(failing.texts, ['out\n', 'err\n']);
assert.equal(failing.status.status, 'Failure');
assert.equal(failing.status.details.causes[0].message, '7');
const reading = await run(['head', '-n', '1'], 'hello\nmore\n');
assert.deepEqual(reading.texts, ['hello\n', '']);
assert.equal(reading.status.status, 'Success');
said('exec');
process.exit(0);
