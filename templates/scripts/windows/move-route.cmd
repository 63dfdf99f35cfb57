@echo off
rem Moves the route of a floating address to this node, with the AWS CLI. For hosts where PowerShell scripts are not allowed;
rem else use move-route.ps1, which also bounds each call in time and asks IMDSv2 for the interface.
rem
rem   hooks:
rem     beforeFailover: [{ run: ['C:\understudy\move-route.cmd'], timeout: 30s, onFailure: abort, platform: win32 }]
rem
rem Settings, from the environment or set below: ROUTE_TABLES (separated by blanks), ADDRESS (IPv4), ENI, REGION, TRIES.
rem From understudy: UNDERSTUDY_NODE, UNDERSTUDY_TO. Exit status: 0 all moved and read back, 1 some not, 2 settings wrong.
rem This file is ASCII with CRLF line ends; chcp makes its output UTF-8 whatever code page the host has (949 in Korea).
setlocal EnableExtensions EnableDelayedExpansion
chcp 65001 >nul
set "PYTHONUTF8=1"
set "AWS_PAGER="
set "AWS_MAX_ATTEMPTS=1"
rem set "ROUTE_TABLES=rtb-0a rtb-0b"
rem set "ADDRESS=192.168.0.10"
rem set "ENI=eni-0a"

if not defined UNDERSTUDY_TO goto settings
if /i "%UNDERSTUDY_TO%"=="%UNDERSTUDY_NODE%" goto settings
echo move-route: nothing to do on %UNDERSTUDY_NODE%: the group goes to %UNDERSTUDY_TO% 1>&2
exit /b 0

:settings
if not defined ROUTE_TABLES goto unset
if not defined ADDRESS goto unset
if not defined ENI goto unset
if not defined TRIES set "TRIES=3"
set "CIDR=%ADDRESS%"
if "%ADDRESS:/=%"=="%ADDRESS%" set "CIDR=%ADDRESS%/32"
set "LIMITS=--output text --cli-connect-timeout 2 --cli-read-timeout 5"
if defined REGION set "LIMITS=%LIMITS% --region %REGION%"

set "FAILED="
for %%T in (%ROUTE_TABLES%) do call :move %%T
if not defined FAILED exit /b 0
echo move-route: NOT moved:%FAILED% 1>&2
exit /b 1

:unset
echo move-route: ROUTE_TABLES, ADDRESS and ENI must be set 1>&2
exit /b 2

:move
set "TRY=1"
:again
call aws ec2 replace-route --route-table-id %1 --destination-cidr-block %CIDR% --network-interface-id %ENI% %LIMITS% >nul
if errorlevel 1 goto missed
rem The answer is believed only when the table says the same.
set "NOW="
for /f "usebackq delims=" %%N in (`aws ec2 describe-route-tables --route-table-ids %1 --query "RouteTables[0].Routes[?DestinationCidrBlock=='%CIDR%'].NetworkInterfaceId | [0]" %LIMITS%`) do set "NOW=%%N"
if "!NOW!"=="%ENI%" (
  echo move-route: %1: %CIDR% -^> %ENI% 1>&2
  exit /b 0
)
:missed
echo move-route: %1: not moved ^(try %TRY%^) 1>&2
if %TRY% GEQ %TRIES% (
  set "FAILED=!FAILED! %1"
  exit /b 1
)
set /a TRY+=1
rem timeout.exe refuses to run without a console; ping waits a second everywhere.
ping -n 2 127.0.0.1 >nul
goto again
