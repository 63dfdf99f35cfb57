<#
An application as app-script wants it: start returns when it serves, stop when it has ended, status by LSB exit status.
The counterpart of linux/app.sh.

  app:
    use: app-script
    start:   ['C:\understudy\app.ps1', start]
    stop:    ['C:\understudy\app.ps1', stop]
    monitor: ['C:\understudy\app.ps1', status]

Settings, from the environment (`env:` of the resource): APP_COMMAND (program), APP_ARGUMENTS, APP_PIDFILE, APP_CHECK_PORT (a local
TCP port that answers when the application serves), APP_SECONDS (default 20).
This file is ASCII and the output UTF-8, whatever code page the host has (949 in Korea).
#>
param([Parameter(Mandatory = $true)][ValidateSet('start', 'stop', 'status')][string]$Action)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
[Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false

function Setting([string]$Name, [string]$Default) {
  $value = [Environment]::GetEnvironmentVariable($Name)
  if ($value) { return $value }
  return $Default
}
$pidfile = Setting 'APP_PIDFILE' (Join-Path $env:ProgramData 'app.pid')
$seconds = [int](Setting 'APP_SECONDS' '20')
$port = Setting 'APP_CHECK_PORT' ''

# The pidfile holds pid and start time: a pid alone may be another process by now.
function Get-App {
  if (-not (Test-Path -LiteralPath $pidfile)) { return $null }
  $words = ([IO.File]::ReadAllText($pidfile)).Trim() -split ' '
  $process = Get-Process -Id ([int]$words[0]) -ErrorAction SilentlyContinue
  if ($process -and $words.Count -gt 1 -and "$($process.StartTime.ToUniversalTime().Ticks)" -eq $words[1]) { return $process }
  return $null
}
function Test-Serving {
  if (-not (Get-App)) { return $false }
  if (-not $port) { return $true }
  $client = New-Object System.Net.Sockets.TcpClient
  try { return $client.ConnectAsync('127.0.0.1', [int]$port).Wait(1000) } catch { return $false } finally { $client.Close() }
}
function Wait-For([scriptblock]$Fact) {
  for ($left = $seconds * 10; $left -gt 0; $left--) {
    if (& $Fact) { return $true }
    Start-Sleep -Milliseconds 100
  }
  return $false
}

switch ($Action) {
  'start' {
    if (Test-Serving) { exit 0 }
    $command = Setting 'APP_COMMAND' ''
    if (-not $command) { [Console]::Error.WriteLine('app: APP_COMMAND is not set'); exit 2 }
    $words = @{ FilePath = $command; WindowStyle = 'Hidden'; PassThru = $true }
    $arguments = Setting 'APP_ARGUMENTS' ''
    if ($arguments) { $words['ArgumentList'] = $arguments }
    $process = Start-Process @words
    [IO.File]::WriteAllText($pidfile, "$($process.Id) $($process.StartTime.ToUniversalTime().Ticks)")
    if (Wait-For { Test-Serving }) { exit 0 }
    [Console]::Error.WriteLine('app: does not serve')
    exit 1
  }
  'stop' {
    $process = Get-App
    if ($process) {
      & taskkill.exe /PID $process.Id /T | Out-Null
      if (-not (Wait-For { -not (Get-App) })) { & taskkill.exe /PID $process.Id /T /F | Out-Null }
      if (-not (Wait-For { -not (Get-App) })) { [Console]::Error.WriteLine("app: still running after $seconds s"); exit 1 }
    }
    Remove-Item -LiteralPath $pidfile -Force -ErrorAction SilentlyContinue
    exit 0
  }
  'status' {
    if (-not (Get-App)) { exit 3 }
    if (Test-Serving) { exit 0 }
    [Console]::Error.WriteLine('app: runs but does not serve')
    exit 1
  }
}
