%% The reference: runs each script through OTP's own supervisor and prints what was seen.
%%
%% One script per line on standard input, as an Erlang term; one line per script on standard output.
%% main.rs says what the words of a script mean; erlang.rs writes them.
%%
%% Three processes per script: the driver, which plays the steps; the stage, which keeps the record,
%% answers every start, and watches every worker; and the supervisor under test with its children.
%% The node has one scheduler, so that what one process does before it waits is done before anyone
%% else goes on: that makes the record the same each time.
-module(oracle).
-behaviour(supervisor).

-export([main/0]).
%% Called by OTP.
-export([init/1, start_child/2]).

-define(PATIENCE_MS, 10000).
-define(AT_ONCE, 32).
-define(PERIOD_S, 3600).

main() ->
    %% Reports of crashes are what the scripts are made of; nobody reads them.
    ok = logger:set_primary_config(level, none),
    ok = io:setopts(standard_io, [binary, {encoding, latin1}]),
    serve(0).

%% Several scripts are under way at once, because some of them wait for a deaf worker. They share
%% nothing, and the number in front of each answer says whose it is.
serve(?AT_ONCE) ->
    receive {'DOWN', _, process, _, _} -> serve(?AT_ONCE - 1) end;
serve(UnderWay) ->
    case io:get_line(standard_io, '') of
        Line when is_binary(Line) ->
            {ok, Tokens, _} = erl_scan:string(binary_to_list(Line)),
            {ok, {Number, Root, Plans, Steps}} = erl_parse:parse_term(Tokens),
            spawn_monitor(fun() ->
                Seen = run(Root, Plans, Steps),
                ok = file:write(standard_io, [integer_to_list(Number), $|, Seen, $\n])
            end),
            serve(UnderWay + 1);
        _ ->
            ok
    end.

run(Root, Plans, Steps) ->
    {Driver, Mark} = spawn_monitor(fun() -> exit({seen, play(Root, Plans, Steps)}) end),
    receive
        {'DOWN', Mark, process, Driver, {seen, Seen}} -> Seen;
        {'DOWN', Mark, process, Driver, Why} -> lists:flatten(io_lib:format("broken:~0p", [Why]))
    after ?PATIENCE_MS ->
        exit(Driver, kill),
        "hung"
    end.

%% ---------------------------------------------------------------------------------------------
%% The driver

play(Root, Plans, Steps) ->
    process_flag(trap_exit, true),
    Stage = spawn_link(fun() -> stage(#{plans => maps:from_list(Plans), up => #{}, record => []}) end),
    Seen =
        case supervisor:start_link(?MODULE, {Stage, Root}) of
            {ok, Pid} -> steps(settle(Stage, Pid, name(Root), []), Steps, Stage, Pid, name(Root));
            {error, _} ->
                [line([], Stage, "failed")]
        end,
    lists:join(";", Seen).

%% Every script ends with the order to shut down, which the root takes from its parent only.
steps({Seen, ended}, _, _, _, _) ->
    [Seen];
steps({Seen, _}, [], Stage, Root, _) ->
    exit(Root, shutdown),
    receive {'EXIT', Root, Why} -> [Seen, line([], Stage, fate(Stage, Why))] end;
steps({Seen, Known}, [Step | Rest], Stage, Root, Name) ->
    Answers = step(Step, Stage, Known),
    [Seen | steps(settle(Stage, Root, Name, Answers), Rest, Stage, Root, Name)].

step({batch, Sup, Acts}, Stage, Known) ->
    case Known of
        #{Sup := Pid} ->
            %% All of it shall lie in the mailbox, in this order, before any of it is looked at.
            ok = sys:suspend(Pid),
            Waits = queue(Acts, Pid, 0, Stage, Known),
            ok = sys:resume(Pid),
            [answered(Wait) || Wait <- Waits];
        #{} ->
            [none]
    end;
step({kill, Sup}, _, Known) ->
    with(Sup, Known, fun(Pid) ->
        Mark = monitor(process, Pid),
        exit(Pid, kill),
        receive {'DOWN', Mark, process, Pid, _} -> ok end
    end);
step({stop, Sup}, _, Known) ->
    with(Sup, Known, fun(Pid) -> gen_server:stop(Pid, shutdown, infinity) end);
step({exit, _, _} = Exit, Stage, Known) ->
    [exit_now(Exit, Stage, Known)];
step(Command, _, Known) ->
    [command(Command, Known)].

queue([], _, _, _, _) ->
    [];
queue([{exit, _, _} = Exit | Rest], Sup, Length, Stage, Known) ->
    Answer = exit_now(Exit, Stage, Known),
    Next = case Answer of ok -> Length + 1; none -> Length end,
    until_queued(Sup, Next),
    [{known, Answer} | queue(Rest, Sup, Next, Stage, Known)];
queue([Command | Rest], Sup, Length, Stage, Known) ->
    {_, Mark} = spawn_monitor(fun() -> exit({answer, command(Command, Known)}) end),
    case asked(Mark, Sup, Length + 1) of
        asked -> [{asked, Mark} | queue(Rest, Sup, Length + 1, Stage, Known)];
        Answer -> [{known, Answer} | queue(Rest, Sup, Length, Stage, Known)]
    end.

%% A command has been put into the mailbox, or has been answered without one.
asked(Mark, Sup, Length) ->
    receive
        {'DOWN', Mark, process, _, {answer, Answer}} -> Answer
    after 0 ->
        case process_info(Sup, message_queue_len) of
            {message_queue_len, Length} -> asked;
            _ -> erlang:yield(), asked(Mark, Sup, Length)
        end
    end.

until_queued(Sup, Length) ->
    case process_info(Sup, message_queue_len) of
        {message_queue_len, Length} -> ok;
        _ -> erlang:yield(), until_queued(Sup, Length)
    end.

answered({known, Answer}) -> Answer;
answered({asked, Mark}) -> receive {'DOWN', Mark, process, _, {answer, Answer}} -> Answer end.

exit_now({exit, Child, Reason}, Stage, Known) ->
    case Known of
        #{Child := Pid} ->
            case is_process_alive(Pid) of
                true ->
                    Mark = monitor(process, Pid),
                    ok = call(Stage, {told, Pid}),
                    tell_to_exit(Pid, Reason),
                    receive {'DOWN', Mark, process, Pid, _} -> ok end;
                false ->
                    none
            end;
        #{} ->
            none
    end.

tell_to_exit(Pid, kill) -> exit(Pid, kill);
tell_to_exit(Pid, Reason) -> Pid ! {exit_with, Reason}, ok.

command({Verb, Sup, Child}, Known) ->
    case Known of
        #{Sup := Pid} ->
            try answer(Verb, ask(Verb, Pid, Sup, Child, Known)) catch exit:_ -> gone end;
        #{} ->
            none
    end.

%% A simple_one_for_one supervisor knows its children by pid and takes any number of one name. Ours
%% knows names (`DynamicChildrenHaveNames`), so the driver looks names up on OTP's behalf.
ask(add, Pid, Sup, Child, Known) ->
    case Known of
        #{{dynamic, Sup} := true} ->
            case is_map_key(element(1, Child), Known) of
                true -> {error, already_present};
                false -> supervisor:start_child(Pid, [Child])
            end;
        #{} ->
            #{{stage, Sup} := Stage} = Known,
            supervisor:start_child(Pid, spec(Stage, Child))
    end;
ask(terminate, Pid, Sup, Child, Known) ->
    case Known of
        #{{dynamic, Sup} := true, Child := ChildPid} -> supervisor:terminate_child(Pid, ChildPid);
        #{{dynamic, Sup} := true} -> {error, not_found};
        #{} -> supervisor:terminate_child(Pid, Child)
    end;
ask(restart, Pid, _, Child, _) ->
    supervisor:restart_child(Pid, Child);
ask(delete, Pid, _, Child, _) ->
    supervisor:delete_child(Pid, Child).

answer(_, ok) -> ok;
answer(add, {ok, undefined}) -> ignored;
answer(_, {ok, _}) -> ok;
answer(_, {error, {already_started, _}}) -> present;
answer(_, {error, already_present}) -> present;
answer(_, {error, Known}) when
    Known =:= not_found; Known =:= running; Known =:= restarting; Known =:= simple_one_for_one
->
    Known;
answer(_, {error, {bad_combination, _}}) -> refused;
answer(_, {error, _}) -> failed.

with(Sup, Known, Do) ->
    case Known of
        #{Sup := Pid} -> [try Do(Pid) catch exit:_ -> gone end];
        #{} -> [none]
    end.

%% ---------------------------------------------------------------------------------------------
%% Settling: a step is over when every supervisor of the tree has answered, nothing is being
%% restarted, everything listed lives, and nothing lives that is not listed.

settle(Stage, Root, Name, Answers) ->
    case is_process_alive(Root) of
        false ->
            receive
                {'EXIT', Root, Why} -> {line(Answers, Stage, fate(Stage, Why)), ended}
            end;
        true ->
            try
                {Tree, Found} = look(Stage, Root, Name),
                Workers = [Pid || {_, worker, Pid} <- Found],
                true = lists:all(fun({_, _, Pid}) -> is_process_alive(Pid) end, Found),
                true = lists:sort(Workers) =:= call(Stage, living),
                Known = maps:from_list(
                    [{N, Pid} || {N, _, Pid} <- Found] ++
                        [{{Kind, N}, true} || {N, Kind, _} <- Found] ++
                        [{{stage, N}, Stage} || {N, _, _} <- Found]
                ),
                {line(Answers, Stage, Tree), Known}
            catch
                _:_ ->
                    %% Let the others work.
                    erlang:yield(),
                    settle(Stage, Root, Name, Answers)
            end
    end.

look(Stage, Sup, Name) ->
    Children = supervisor:which_children(Sup),
    Kind = call(Stage, {shape, Name}),
    Named = [
        {case Kind of dynamic -> call(Stage, {name_of, Pid}); _ -> Id end, Pid, Type}
     || {Id, Pid, Type, _} <- Children
    ],
    Ordered = case Kind of dynamic -> lists:sort(Named); _ -> lists:reverse(Named) end,
    {Texts, Founds} = lists:unzip([look_at(Stage, Child) || Child <- Ordered]),
    {[Name, "(", lists:join(" ", Texts), ")"], [{Name, Kind, Sup} | lists:append(Founds)]}.

look_at(_, {Name, undefined, _}) -> {["-", text(Name)], []};
look_at(Stage, {Name, Pid, supervisor}) when is_pid(Pid) ->
    {[_ | Inside], Found} = look(Stage, Pid, Name),
    {[text(Name) | Inside], Found};
look_at(_, {Name, Pid, worker}) when is_pid(Pid) -> {text(Name), [{Name, worker, Pid}]}.

fate(Stage, Why) ->
    until_none_lives(Stage),
    ["ended:", class(Why)].

until_none_lives(Stage) ->
    case call(Stage, living) of
        [] -> ok;
        _ -> erlang:yield(), until_none_lives(Stage)
    end.

class(normal) -> "normal";
class(shutdown) -> "shutdown";
class({shutdown, _}) -> "shutdown";
class(_) -> "abnormal".

line(Answers, Stage, End) ->
    Events = call(Stage, take_record),
    Words = [text(Answer) || Answer <- Answers] ++ Events ++ [["=", flat_names(End)]],
    lists:join(" ", Words).

flat_names([Name | Rest]) when is_atom(Name) -> [text(Name) | Rest];
flat_names(Text) -> Text.

%% ---------------------------------------------------------------------------------------------
%% The supervisors

init({Stage, {Name, Shape, Intensity, Auto, Children}}) ->
    ok = call(Stage, {shape, Name, case Shape of {dynamic, _, _, _, _} -> dynamic; _ -> ordered end}),
    Flags = #{intensity => Intensity, period => ?PERIOD_S, auto_shutdown => Auto},
    case Shape of
        {dynamic, Restart, Significant, Shutdown, Type} ->
            Template = #{
                id => Name, start => {?MODULE, start_child, [Stage]}, restart => Restart,
                significant => Significant, shutdown => Shutdown, type => Type
            },
            {ok, {Flags#{strategy => simple_one_for_one}, [Template]}};
        Strategy ->
            {ok, {Flags#{strategy => Strategy}, [spec(Stage, Child) || Child <- Children]}}
    end.

spec(Stage, {Name, Restart, Significant, Shutdown, Kind} = Child) ->
    #{
        id => Name, start => {?MODULE, start_child, [Stage, Child]}, restart => Restart,
        significant => Significant, shutdown => Shutdown,
        type => case Kind of {supervisor, _} -> supervisor; _ -> worker end
    }.

start_child(Stage, {Name, _, _, _, {supervisor, Sup}}) ->
    case supervisor:start_link(?MODULE, {Stage, Sup}) of
        {ok, Pid} ->
            ok = call(Stage, {named, Name, Pid}),
            {ok, Pid};
        Error ->
            Error
    end;
start_child(Stage, {Name, _, _, _, {worker, Deaf}}) ->
    case call(Stage, {attempt, Name}) of
        ok -> {ok, worker(Stage, Name, Deaf)};
        fail -> {error, no_luck};
        ignore -> ignore;
        {die, Reason} ->
            Pid = worker(Stage, Name, Deaf),
            Mark = monitor(process, Pid),
            ok = call(Stage, {told, Pid}),
            tell_to_exit(Pid, Reason),
            receive {'DOWN', Mark, process, Pid, _} -> {ok, Pid} end
    end.

worker(Stage, Name, Deaf) ->
    Supervisor = self(),
    Pid = spawn_link(fun() ->
        process_flag(trap_exit, Deaf),
        Supervisor ! {self(), ready},
        work(Supervisor)
    end),
    receive {Pid, ready} -> ok end,
    ok = call(Stage, {up, Name, Pid}),
    Pid.

%% A deaf worker does not mind being asked to stop, but does not outlive its supervisor.
work(Supervisor) ->
    receive
        {exit_with, Reason} -> exit(Reason);
        {'EXIT', Supervisor, shutdown} -> work(Supervisor);
        {'EXIT', Supervisor, Why} -> exit(Why)
    end.

%% ---------------------------------------------------------------------------------------------
%% The stage

stage(#{plans := Plans, up := Up, record := Record} = State) ->
    receive
        {From, Ref, Question} ->
            {Answer, Next} = stage(Question, State),
            From ! {Ref, Answer},
            stage(Next);
        {'DOWN', _, process, Pid, Why} ->
            #{Pid := {Name, Told}} = Up,
            How =
                case Why of
                    _ when Told -> "exit:";
                    shutdown -> "stop:";
                    killed -> "kill:";
                    _ -> "lost:"
                end,
            stage(State#{plans := Plans, up := maps:remove(Pid, Up), record := [[How, text(Name)] | Record]})
    end.

stage({attempt, Name}, #{plans := Plans, record := Record} = State) ->
    {Outcome, Left} =
        case Plans of
            #{Name := {[Next], Then}} -> {Next, {[], Then}};
            #{Name := {[Next | Rest], Then}} -> {Next, {Rest, Then}};
            #{Name := {[], Then}} -> {Then, {[], Then}}
        end,
    Word =
        case Outcome of
            fail -> "fail:";
            ignore -> "ignore:";
            _ -> "start:"
        end,
    {Outcome, State#{plans := Plans#{Name := Left}, record := [[Word, text(Name)] | Record]}};
stage({up, Name, Pid}, #{up := Up} = State) ->
    _ = monitor(process, Pid),
    {ok, State#{up := Up#{Pid => {Name, false}}, {name, Pid} => Name}};
stage({told, Pid}, #{up := Up} = State) ->
    #{Pid := {Name, _}} = Up,
    {ok, State#{up := Up#{Pid := {Name, true}}}};
stage({named, Name, Pid}, State) ->
    {ok, State#{{name, Pid} => Name}};
stage({name_of, Pid}, State) ->
    {maps:get({name, Pid}, State, undefined), State};
stage({shape, Name, Shape}, State) ->
    {ok, State#{{shape, Name} => Shape}};
stage({shape, Name}, State) ->
    {maps:get({shape, Name}, State), State};
stage(living, #{up := Up} = State) ->
    {lists:sort(maps:keys(Up)), State};
stage(take_record, #{record := Record} = State) ->
    {lists:reverse(Record), State#{record := []}}.

call(Stage, Question) ->
    Ref = make_ref(),
    Stage ! {self(), Ref, Question},
    receive {Ref, Answer} -> Answer end.

%% ---------------------------------------------------------------------------------------------

name({Name, _, _, _, _}) -> Name.

text(Word) when is_atom(Word) -> atom_to_list(Word);
text(Text) -> Text.
