// An executor that a framework brings, as one would write it: it speaks the v1 executor API and knows nothing of the agent but what the
// environment says. A task's data says what becomes of it: "finish" and "fail" end at once, "exit" ends the executor, "nest" runs a container below the executor's and
// ends as that does, others run until killed.
const http = require('http')
const crypto = require('crypto')

const env = process.env
const [host, port] = env.MESOS_AGENT_ENDPOINT.split(':')
const ids = { framework_id: { value: env.MESOS_FRAMEWORK_ID }, executor_id: { value: env.MESOS_EXECUTOR_ID } }
const tasks = new Map() // that no acknowledged update was sent for
const updates = new Map() // by uuid, until they are acknowledged
const running = new Set()
const headers = { 'Content-Type': 'application/json', Accept: 'application/json' }
if (env.MESOS_EXECUTOR_AUTHENTICATION_TOKEN) headers.Authorization = `Bearer ${env.MESOS_EXECUTOR_AUTHENTICATION_TOKEN}`
let container

for (const name of Object.keys(env).filter(name => name.startsWith('MESOS_')).sort()) console.log(`${name}=${env[name]}`)

function post(call, answer) {
  const request = http.request({ host, port, path: '/api/v1/executor', method: 'POST', headers }, answer)
  request.on('error', () => answer(null))
  request.end(JSON.stringify({ ...ids, ...call }))
}

function update(task, state) {
  const uuid = crypto.randomBytes(16).toString('base64')
  const status = { task_id: task, state, uuid, source: 'SOURCE_EXECUTOR', timestamp: Date.now() / 1000 }
  updates.set(uuid, status)
  if (state === 'TASK_RUNNING') running.add(task.value)
  else running.delete(task.value)
  post({ type: 'UPDATE', update: { status } }, response => response?.resume())
}

function agent(call, then) {
  const request = http.request({ host, port, path: '/api/v1', method: 'POST', headers }, response => {
    let text = ''
    response.on('data', piece => (text += piece))
    response.on('end', () => then(response.statusCode, text))
  })
  request.end(JSON.stringify(call))
}

function nest(task) {
  const id = { value: `nested-${task.task_id.value}`, parent: container }
  const command = { value: 'echo in $MESOS_EXECUTOR_ID; exit 3' }
  agent({ type: 'LAUNCH_NESTED_CONTAINER', launch_nested_container: { container_id: id, command } }, status => {
    console.log(`nested ${status}`)
    agent({ type: 'WAIT_NESTED_CONTAINER', wait_nested_container: { container_id: id } }, (status, text) => {
      console.log(`ended ${status} ${JSON.parse(text).wait_nested_container.exit_status}`)
      update(task.task_id, 'TASK_FINISHED')
    })
  })
}

function launch(task) {
  tasks.set(task.task_id.value, task)
  console.log(`launch ${task.task_id.value}`)
  update(task.task_id, 'TASK_RUNNING')
  const fate = Buffer.from(task.data ?? '', 'base64').toString()
  if (fate === 'finish') update(task.task_id, 'TASK_FINISHED')
  if (fate === 'fail') update(task.task_id, 'TASK_FAILED')
  if (fate === 'nest') nest(task)
  if (fate === 'exit') process.exit(7)
}

function take(event) {
  switch (event.type) {
    case 'SUBSCRIBED':
      container = event.subscribed.container_id
      console.log(`subscribed ${event.subscribed.executor_info.executor_id.value} ${event.subscribed.container_id.value}`)
      break
    case 'LAUNCH':
      launch(event.launch.task)
      break
    case 'LAUNCH_GROUP':
      console.log(`group of ${event.launch_group.task_group.tasks.length}`)
      event.launch_group.task_group.tasks.forEach(launch)
      break
    case 'KILL':
      console.log(`kill ${event.kill.task_id.value} ${event.kill.kill_policy?.grace_period.nanoseconds ?? ''}`)
      update(event.kill.task_id, 'TASK_KILLED')
      break
    case 'ACKNOWLEDGED':
      updates.delete(event.acknowledged.uuid)
      tasks.delete(event.acknowledged.task_id.value)
      break
    case 'HEARTBEAT':
      console.log('heartbeat')
      break
    case 'MESSAGE':
      post({ type: 'MESSAGE', message: { data: Buffer.from(`echo ${Buffer.from(event.message.data, 'base64')}`).toString('base64') } }, response => response?.resume())
      break
    case 'SHUTDOWN':
      console.log('shutdown')
      if (env.STUBBORN) break
      for (const value of [...running]) update({ value }, 'TASK_KILLED')
      setTimeout(() => process.exit(0), 200)
      break
  }
}

function subscribe() {
  const subscribe = { unacknowledged_tasks: [...tasks.values()], unacknowledged_updates: [...updates.values()].map(status => ({ status })) }
  post({ type: 'SUBSCRIBE', subscribe }, response => {
    if (!response) return setTimeout(subscribeAgain, 100)
    let buffered = Buffer.alloc(0)
    response.on('data', piece => {
      buffered = Buffer.concat([buffered, piece])
      for (let line; response.statusCode === 200 && (line = buffered.indexOf(10)) >= 0; ) {
        const end = line + 1 + Number(buffered.subarray(0, line))
        if (buffered.length < end) break
        const event = JSON.parse(buffered.subarray(line + 1, end))
        buffered = buffered.subarray(end)
        take(event)
      }
    })
    response.on('close', () => setTimeout(subscribeAgain, 100))
    response.on('error', () => {})
  })
}

const subscribeAgain = () => {
  console.log('subscribe again')
  subscribe()
}

if (env.SILENT) setInterval(() => {}, 1000)
else subscribe()
