%% The peer: OTP's own `supervisor`, restarting one child as often as it is told to.
%%
%% For each number read, that many restarts; answered with a line of their times in nanoseconds.
%% A time is from the message that ends the child to the first word of its successor. The child
%% ends with `{shutdown, _}`, which is a restart of a permanent child without a report, and nothing
%% is logged: nobody's formatting is measured.
-module(restart).
%% It is a gen_server, too, whose init/1 it shares.
-behaviour(supervisor).
-export([main/0, init/1, start_child/1, handle_call/3, handle_cast/2]).

main() ->
    ok = logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    {ok, _} = supervisor:start_link(?MODULE, {root, self()}),
    turns(born()).

turns(Child) ->
    case io:get_line("") of
        eof -> ok;
        Line ->
            Count = list_to_integer(string:trim(Line)),
            {Times, Next} = restarts(Count, Child, []),
            io:put_chars([lists:join(" ", [integer_to_list(T) || T <- Times]), "\n"]),
            turns(Next)
    end.

restarts(0, Child, Times) -> {Times, Child};
restarts(Count, Child, Times) ->
    Start = erlang:monotonic_time(nanosecond),
    gen_server:cast(Child, die),
    Next = born(),
    restarts(Count - 1, Next, [erlang:monotonic_time(nanosecond) - Start | Times]).

born() -> receive {born, Child} -> Child end.

start_child(Cradle) -> gen_server:start_link(?MODULE, {child, Cradle}, []).

init({root, Cradle}) ->
    Flags = #{strategy => one_for_one, intensity => 1000000, period => 1},
    {ok, {Flags, [#{id => mortal, start => {?MODULE, start_child, [Cradle]}}]}};
init({child, Cradle}) ->
    Cradle ! {born, self()},
    {ok, none}.

handle_call(_, _, State) -> {reply, ok, State}.

handle_cast(die, State) -> {stop, {shutdown, told_to}, State}.
