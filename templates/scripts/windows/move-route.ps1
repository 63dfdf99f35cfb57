<#
Moves the route of a floating address to this node in one or more route tables, with the AWS CLI. The counterpart of
linux/move-route.sh: the same settings, the same exit status.

  hooks:
    beforeFailover: [{ run: ['C:\understudy\move-route.ps1'], timeout: 30s, onFailure: abort, platform: win32 }]

Settings, as parameters, from the environment, or from move-route.conf beside this script (NAME=value lines):
ROUTE_TABLES, ADDRESS, ENI, REGION, CREATE_ROUTE, TRIES, CALL_SECONDS. From understudy: UNDERSTUDY_NODE, UNDERSTUDY_TO.
Exit status: 0 every table points here, read back; 1 some do not (they are named); 2 the settings are wrong.
This file is ASCII and the output UTF-8, whatever code page the host has (949 in Korea).
#>
param(
  [string]$RouteTables,
  [string]$Address,
  [string]$Eni,
  [string]$Region,
  [string]$CreateRoute,
  [int]$Tries = 0,
  [int]$CallSeconds = 0
)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
[Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false
$OutputEncoding = [Console]::OutputEncoding
$env:PYTHONUTF8 = '1'
$env:AWS_PAGER = ''
$env:AWS_MAX_ATTEMPTS = '1'

function Say([string]$Text) { [Console]::Error.WriteLine("move-route: $Text") }

$conf = @{}
$file = Join-Path $PSScriptRoot 'move-route.conf'
if (Test-Path -LiteralPath $file) {
  foreach ($line in [IO.File]::ReadAllLines($file, [Text.Encoding]::UTF8)) {
    if ($line -match '^\s*([A-Z_]+)=(.*)$') { $conf[$Matches[1]] = $Matches[2].Trim().Trim('"', "'") }
  }
}
function Setting([string]$Given, [string]$Name, [string]$Default) {
  if ($Given) { return $Given }
  $value = [Environment]::GetEnvironmentVariable($Name)
  if ($value) { return $value }
  if ($conf.ContainsKey($Name)) { return $conf[$Name] }
  return $Default
}

if ($env:UNDERSTUDY_TO -and $env:UNDERSTUDY_TO -ne $env:UNDERSTUDY_NODE) {
  Say "nothing to do on $($env:UNDERSTUDY_NODE): the group goes to $($env:UNDERSTUDY_TO)"
  exit 0
}
$tables = @((Setting $RouteTables 'ROUTE_TABLES' '') -split '\s+' | Where-Object { $_ })
$address = Setting $Address 'ADDRESS' ''
$region = Setting $Region 'REGION' ''
$create = (Setting $CreateRoute 'CREATE_ROUTE' 'no') -eq 'yes'
$givenTries = ''
if ($Tries -gt 0) { $givenTries = "$Tries" }
$givenSeconds = ''
if ($CallSeconds -gt 0) { $givenSeconds = "$CallSeconds" }
$most = [int](Setting $givenTries 'TRIES' '3')
$seconds = [int](Setting $givenSeconds 'CALL_SECONDS' '8')
if ($tables.Count -eq 0 -or -not $address) {
  Say 'ROUTE_TABLES and ADDRESS must be set, here or in move-route.conf'
  exit 2
}

$ipv6 = $address.Contains(':')
$cidr = $address
if (-not $address.Contains('/')) { if ($ipv6) { $cidr = "$address/128" } else { $cidr = "$address/32" } }
$destination = '--destination-cidr-block'
$key = 'DestinationCidrBlock'
if ($ipv6) { $destination = '--destination-ipv6-cidr-block'; $key = 'DestinationIpv6CidrBlock' }

function Get-OwnInterface {
  $base = 'http://169.254.169.254/latest'
  $token = Invoke-RestMethod -Method Put -TimeoutSec 2 -Uri "$base/api/token" -Headers @{ 'X-aws-ec2-metadata-token-ttl-seconds' = '60' }
  $headers = @{ 'X-aws-ec2-metadata-token' = $token }
  $mac = Invoke-RestMethod -TimeoutSec 2 -Uri "$base/meta-data/mac" -Headers $headers
  return Invoke-RestMethod -TimeoutSec 2 -Uri "$base/meta-data/network/interfaces/macs/$mac/interface-id" -Headers $headers
}
$eni = Setting $Eni 'ENI' ''
if (-not $eni) {
  try { $eni = Get-OwnInterface } catch { Say "the network interface of this node is unknown: set ENI, or allow IMDSv2 ($($_.Exception.Message))"; exit 2 }
}

# One call of the AWS CLI with a deadline; its process tree is ended when that is over. Returns the output, or $null.
function Invoke-Ec2([string[]]$Words) {
  $all = @('ec2') + $Words + @('--output', 'text', '--cli-connect-timeout', '2', '--cli-read-timeout', '5')
  if ($region) { $all += @('--region', $region) }
  $start = New-Object System.Diagnostics.ProcessStartInfo
  $start.FileName = 'aws.exe'
  $start.Arguments = ($all | ForEach-Object { '"' + $_ + '"' }) -join ' '
  $start.UseShellExecute = $false
  $start.RedirectStandardOutput = $true
  $start.StandardOutputEncoding = [Text.Encoding]::UTF8
  $process = [System.Diagnostics.Process]::Start($start)
  $output = $process.StandardOutput.ReadToEndAsync()
  if (-not $process.WaitForExit($seconds * 1000)) {
    & taskkill.exe /PID $process.Id /T /F | Out-Null
    Say "aws $($Words[0]): no end after $seconds s"
    return $null
  }
  if ($process.ExitCode -ne 0) { return $null }
  return $output.Result.Trim()
}

function Move-Table([string]$Table) {
  $route = @('--route-table-id', $Table, $destination, $cidr, '--network-interface-id', $eni)
  for ($try = 1; $try -le $most; $try++) {
    $done = $null -ne (Invoke-Ec2 (@('replace-route') + $route))
    if (-not $done -and $create) { $done = $null -ne (Invoke-Ec2 (@('create-route') + $route)) }
    if ($done) {
      # The answer is believed only when the table says the same.
      $now = Invoke-Ec2 @('describe-route-tables', '--route-table-ids', $Table, '--query', "RouteTables[0].Routes[?$key=='$cidr'].NetworkInterfaceId | [0]")
      if ($now -eq $eni) { Say "${Table}: $cidr -> $eni"; return $true }
      Say "${Table}: replaced, but read back something else (try $try)"
    } else { Say "${Table}: could not be replaced (try $try)" }
    if ($try -lt $most) { Start-Sleep -Seconds 1 }
  }
  return $false
}

$failed = @($tables | Where-Object { -not (Move-Table $_) })
if ($failed.Count -eq 0) { exit 0 }
Say "NOT moved: $($failed -join ' ')"
exit 1
